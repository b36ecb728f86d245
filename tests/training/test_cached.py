"""A run whose examples lie in the cache is the run that has them in memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mtl.data.cache import ExampleCache
from mtl.training import setup
from mtl.training.run import train
from tests.training.site import Site, metrics


def test_same_files_and_scores(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_cache_can_be_switched_off(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ExampleCache", partial(ExampleCache, least=1))
    cfg = site.config("ner")
    cfg.cache.dir, cfg.cache.examples = str(tmp_path / "cache"), False
    train(cfg, tmp_path / "run")
    assert not (tmp_path / "cache").exists()
