"""The same run twice gives the same files; another seed gives others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtl.training.run import train
from tests.training.site import Site, differing, metrics, saved


@pytest.fixture(scope="module")
def runs(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("repeat")
    for name, seed in (("once", 42), ("twice", 42), ("other", 43)):
        torch.manual_seed(len(name))  # What a process did before does not matter.
        train(site.config("ner", "sentiment", seed=seed), base / name)
    return {folder.name: folder for folder in base.iterdir()}


def test_same_seed_same_bytes(runs: dict[str, Path]) -> None:
    first, second = (
        {f.name: f.read_bytes() for f in (runs[n] / "model").iterdir()} for n in ("once", "twice")
    )
    assert first == second
    assert metrics(runs["once"]) == metrics(runs["twice"])


def test_another_seed_another_model(runs: dict[str, Path]) -> None:
    some, others = saved(runs["once"]), saved(runs["other"])
    assert set(differing(some, others)) == some.keys()
