"""A balancing inside real steps: passes, tasks that are absent, resuming, several ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtl.training.module import MultiTaskModule
from tests.training.balancing.test_scalarizers import METHODS
from tests.training.site import Site, fit, module_of, prepared, weights

WEIGHTS = {"ner": 0.7, "sentiment": 2.0}


def trained(
    site: Site, folder: Path, name: str, options: dict[str, Any], steps: int = 5, **changes: Any
) -> MultiTaskModule:
    """Take some steps without dropout, on examples of two tasks that differ in number."""
    cfg = site.config(
        *WEIGHTS,
        balancing__name=name,
        balancing__options=options,
        trunk__dropout=0.0,
        tasks__sentiment__data__max_train_examples=5,
        batching__examples=4,
        schedule__warmup=0.0,
        **changes,
    )
    for task, weight in WEIGHTS.items():
        cfg.tasks[task].head["dropout"] = 0.0
        cfg.tasks[task].weight = weight
    ready = prepared(cfg, folder)
    module = module_of(cfg, ready, steps=steps)
    fit(module, ready.data, steps=steps)
    return module


def close(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=1e-5, msg=name)


@pytest.mark.parametrize(("name", "options"), METHODS.items(), ids=METHODS)
def test_any_split_into_passes_is_the_same(
    site: Site, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    large = trained(site, tmp_path, name, options, batching__tokens=4096)
    small = trained(site, tmp_path, name, options, batching__tokens=16)
    close(weights(small.model), weights(large.model))
    for key, value in large.balancing.shown().items():
        assert small.balancing.shown()[key] == pytest.approx(value, rel=1e-3)
        assert large.training_logs[f"train/{key}/weight"] == pytest.approx(value)
