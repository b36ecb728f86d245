"""What loggers are told while a run trains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest

from mtl.training.module import MultiTaskModule
from tests.training.site import Site, fit, module_of, prepared

STEPS = 6


class Logs(L.Callback):
    """Keeps the training logs of every step that has any."""

    def __init__(self) -> None:
        self.found: dict[int, dict[str, float]] = {}
        self.padding: dict[int, float] = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        assert isinstance(pl_module, MultiTaskModule)
        sources = [micro_batch.source for micro_batch in batch.micro_batches]
        padding = sum(int((source.unit < 0).sum()) for source in sources)
        self.padding[batch.number + 1] = padding / sum(s.input_ids.numel() for s in sources)
        if pl_module.training_log.due(batch.number + 1):
            self.found[batch.number + 1] = dict(pl_module.training_logs)


def logs(site: Site, folder: Path, every: int, **options: Any) -> dict[int, dict[str, float]]:
    cfg = site.config("ner", "sentiment", schedule__warmup=0.5, trainer__max_steps=STEPS)
    cfg.tasks["ner"].weight = 0.5
    ready, kept = prepared(cfg, folder), Logs()
    module = module_of(cfg, ready)
    module.training_log.every = every
    fit(module, ready.data, steps=STEPS, callbacks=[kept], **options)
    for number, found in kept.found.items() if every == 1 else ():
        assert found["train/padding"] == pytest.approx(kept.padding[number])
    return kept.found


def test_losses_are_means_over_the_steps_since_the_last_log(site: Site, tmp_path: Path) -> None:
    each, some = logs(site, tmp_path, 1), logs(site, tmp_path, 4)
    assert list(some) == [4, 6]
    for first, last in ((0, 4), (4, 6)):
        for task in ("ner", "sentiment"):
            name = f"train/{task}/loss"
            parts = [each[n + 1][name] for n in range(first, last) if name in each[n + 1]]
            assert some[last][name] == pytest.approx(sum(parts) / len(parts))
    for found in each.values():
        total = 0.5 * found["train/ner/loss"] + found["train/sentiment/loss"]
        assert found["train/loss"] == pytest.approx(total)
        for share in ("share", "token_share"):
            of_both = found[f"train/ner/{share}"] + found[f"train/sentiment/{share}"]
            assert of_both == pytest.approx(1.0)
        parts = [found[f"train/{part}/grad_norm"] for part in ("trunk", "ner", "sentiment")]
        assert found["train/grad_norm"] == pytest.approx(sum(n * n for n in parts) ** 0.5)
        assert (found["train/ner/weight"], found["train/sentiment/weight"]) == (0.5, 1.0)
        assert 0.05 < found["train/memory_gb"] < 100


def test_names_rates_and_epochs(site: Site, tmp_path: Path) -> None:
    found = logs(site, tmp_path, 1)
    speed = {"train/tokens_per_second", "train/examples_per_second"}
    totals = {f"train/{m}" for m in ("loss", "grad_norm", "padding", "memory_gb")} | {"epoch"}
    own = ("loss", "share", "token_share", "weight", "grad_norm")
    tasks = {f"train/{t}/{m}" for t in ("ner", "sentiment") for m in own} | {
        "train/trunk/grad_norm"
    }
    rates = {"train/trunk/lr", "train/heads/lr"}
    assert all(set(logged) == speed | totals | tasks | rates for logged in found.values())
    assert [found[n]["train/trunk/lr"] for n in range(1, 7)] == pytest.approx(
        [1e-2 * share for share in (1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0)]
    )
    assert found[6]["train/heads/lr"] == 0.0
    assert [found[n]["epoch"] for n in (3, 6)] == pytest.approx([0.5, 1.0])


def test_validation_does_not_slow_training_down(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a second here and a validation an hour; training has one step a second."""
    now = [0.0]

    def taking(name: str, seconds: float) -> None:
        original = getattr(MultiTaskModule, name)

        def timed(self: MultiTaskModule, *args: Any) -> Any:
            now[0] += seconds
            return original(self, *args)

        monkeypatch.setattr(MultiTaskModule, name, timed)

    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("mtl.training.training_log.time", clock)
    taking("training_step", 1.0)
    taking("validation_step", 3600.0)
    taking("configure_optimizers", 3600.0)
    options = {"limit_val_batches": 1.0, "val_check_interval": 2, "check_val_every_n_epoch": None}
    found = logs(site, tmp_path, 3, **options)
    for logged, examples in ((found[3], 18), (found[6], 14)):
        assert logged["train/examples_per_second"] == pytest.approx(examples / 3)
