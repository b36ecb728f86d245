"""A good corpus, a tiny random trunk and one finished run, of which every test gets a copy."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

import mtl.config.compose
import train as script
from mtl.cli import main as mtl_main
from tests import helpers
from tests.badinput.harness import Case, Result, rows, train, write


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data/``, ``trunk/`` and a finished run of both tasks in ``run/``."""
    base = tmp_path_factory.mktemp("good")
    for split in ("train", "validation", "test"):
        write(base / "data" / f"{split}.jsonl", rows())
    helpers.save_tiny(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    before = Path.cwd()
    os.chdir(base)
    try:
        assert script.main([*train(task="ner,sentiment")[1:], "hydra.run.dir=run"]) == 0
    finally:
        os.chdir(before)
        torch.use_deterministic_algorithms(False)
    return base


@pytest.fixture
def folder(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the good folder to work in, with ``tmp/`` for temporary files."""
    copy = shutil.copytree(good, tmp_path / "work")
    (copy / "tmp").mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setattr(tempfile, "tempdir", str(copy / "tmp"))
    yield copy
    torch.use_deterministic_algorithms(False)


_compose_untyped = mtl.config.compose.compose_untyped


@cache
def _composed(overrides: tuple[str, ...], folders: tuple[Path, ...]) -> DictConfig:
    return _compose_untyped(overrides, folders)


@pytest.fixture(autouse=True)
def _compose_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra compose each choice of files once for all tests; values are put in afterwards."""

    def composed(overrides: Sequence[str], folders: Sequence[Path]) -> DictConfig:
        places = tuple(folder.absolute() for folder in folders)
        return deepcopy(_composed(tuple(overrides), places))

    monkeypatch.setattr(mtl.config.compose, "compose_untyped", composed)
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *args, **kwargs: None)


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[Case], Result]:
    """Run a case's command in this process, in the working folder."""

    def go(case: Case) -> Result:
        capfd.readouterr()
        program, *argv = case.argv
        code: object = 0
        try:
            if program == "train":
                code = script.main(argv)
            else:
                mtl_main(argv)
        except SystemExit as end:
            code = end.code
        streams = capfd.readouterr()
        assert isinstance(code, int)
        return Result(code, streams.out, streams.err)

    return go
