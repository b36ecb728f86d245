"""Runs whose words are labelled together: passes, windows, and what the model keeps."""

from __future__ import annotations

from pathlib import Path

import torch

from mtl.heads.crf import CRFHead
from mtl.labels import transitions
from mtl.training.model_io import load_model
from mtl.training.run import train
from tests.training.site import Site, fit, module_of, prepared, weights


def test_passes_and_windows_do_not_matter(site: Site, tmp_path: Path) -> None:
    """Texts are several windows, whose words are one chain; a pass takes some, or parts of one."""
    found = []
    for tokens in (10, 4000):
        cfg = site.config(
            "ner",
            "sentiment",
            batching__tokens=tokens,
            trunk__max_length=8,
            trunk__stride=2,
            trunk__dropout=0.0,
            schedule__warmup=0.0,
        )
        for task in cfg.tasks.values():
            task.head = {"dropout": 0.0}
        cfg.tasks["ner"].head["decoding"] = "crf"
        ready = prepared(cfg, tmp_path)
        assert any(e.windows > 1 for e in ready.data.train[0].examples)
        fit(module_of(cfg, ready), ready.data, steps=3)
        found.append(weights(ready.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4)
    assert found[0]["heads.ner.steps"].abs().max() > 0


def test_a_run_keeps_its_chain(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", trainer__max_steps=4, tuning__name="frozen")
    cfg.tasks["ner"].head = {"decoding": "crf"}
    metrics = train(cfg, tmp_path)
    assert "test/ner/f1" in metrics
    model = load_model(tmp_path).model
    head = model.head("ner")
    assert isinstance(head, CRFHead)
    assert head.steps.abs().max() > 0
    allowed = transitions(tuple(model.tasks["ner"].learned.model_dump()["labels"])).allowed
    assert torch.equal(head.forbidden == 0, torch.from_numpy(allowed))
