"""Clipping beside fused AdamW under mixed precision, which Lightning's own clipping refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision

from tests.training.site import Site, differing, fit, module_of, prepared, weights

CLIP = 1e-3


class Norm(L.Callback):
    """Keeps the gradients' norm as the optimiser gets them."""

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any
    ) -> None:
        grads = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.found = float(torch.nn.utils.get_total_norm(grads))
        self.dtypes = {p.dtype for p in pl_module.parameters()} | {g.dtype for g in grads}
        self.fused = optimizer.defaults["fused"]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_trio_takes_a_step(site: Site, tmp_path: Path, precision: str) -> None:
    cfg = site.config("ner", "sentiment", trainer__gradient_clip_val=CLIP, schedule__warmup=0.0)
    ready, norm = prepared(cfg, tmp_path), Norm()
    before = weights(ready.model)
    module = module_of(cfg, ready)
    fit(module, ready.data, callbacks=[norm], precision=precision)
    assert norm.fused
    assert norm.dtypes == {torch.float32}
    assert norm.found == pytest.approx(CLIP, rel=1e-3)
    assert module.training_logs["train/grad_norm"] > 10 * CLIP
    after = weights(ready.model)
    assert set(differing(before, after)) == before.keys()
    assert all(value.isfinite().all() for value in after.values())


def test_scaled_losses_are_clipped_by_their_true_gradients(site: Site, tmp_path: Path) -> None:
    """float16 scales losses up; the norm that is clipped and logged is that of the gradients."""
    cfg = site.config("ner", "sentiment", trainer__gradient_clip_val=CLIP, schedule__warmup=0.0)
    norms = []
    for scale in (1.0, 1024.0):
        ready, norm = prepared(cfg, tmp_path), Norm()
        module, before = module_of(cfg, ready), weights(ready.model)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        plugin = MixedPrecision("16-mixed", "cpu", scaler)
        fit(module, ready.data, callbacks=[norm], plugins=[plugin])
        assert norm.found == pytest.approx(CLIP, rel=1e-3)
        assert len(differing(before, weights(ready.model))) == len(before)
        norms.append(module.training_logs["train/grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=0.01)
    assert norms[0] > 10 * CLIP
