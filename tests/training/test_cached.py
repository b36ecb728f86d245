"""A run whose examples lie in the cache is the run that has them in memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mtl.data.cache import ExampleCache
from mtl.data.readers import split
from mtl.data.readers.table import make_rows
from mtl.training import setup
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from tests.training.resuming import check_equal, killed, resumed, run_config
from tests.training.site import Site, metrics


def test_same_files_and_scores(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_CACHE", str(tmp_path / "cache"))
    train(site.config("ner", "sentiment"), tmp_path / "plain")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(setup, "ExampleCache", partial(ExampleCache, least=1))
    for name in ("written", "found"):
        train(site.config("ner", "sentiment"), tmp_path / name)
    assert len(list((tmp_path / "cache" / "examples").iterdir())) == 6
    for name in ("written", "found"):
        assert metrics(tmp_path / name) == metrics(tmp_path / "plain")
        for file in (tmp_path / "plain" / "model").iterdir():
            assert (tmp_path / name / "model" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 6])
def test_a_run_over_files_is_killed_and_resumed_exactly(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Rows and examples on disk, and a stop in the middle of an epoch."""
    monkeypatch.setenv("MTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(setup, "ExampleCache", partial(ExampleCache, least=1))
    monkeypatch.setattr(split, "make_rows", partial(make_rows, limit=0))
    cfg = run_config(site)
    train(cfg, tmp_path / "whole")
    with killed(MultiTaskModule, "training_step", stop):
        train(cfg, tmp_path / "stopped")
    train(resumed(cfg, tmp_path / "stopped"), tmp_path / "stopped")
    check_equal(tmp_path / "stopped", tmp_path / "whole")


def test_the_cache_can_be_switched_off(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ExampleCache", partial(ExampleCache, least=1))
    cfg = site.config("ner")
    cfg.cache.dir, cfg.cache.examples = str(tmp_path / "cache"), False
    train(cfg, tmp_path / "run")
    assert not (tmp_path / "cache").exists()
