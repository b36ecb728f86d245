"""A good corpus, a tiny random trunk and one finished run, of which every test gets a copy."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mtl.cli import main as mtl_main
from mtl.cli.train import main as train_main
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
        assert train_main([*train(task="ner,sentiment")[1:], "hydra.run.dir=run"]) == 0
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


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[Case], Result]:
    """Run a case's command in this process, in the working folder."""

    def go(case: Case) -> Result:
        capfd.readouterr()
        program, *argv = case.argv
        code: object = 0
        try:
            if program == "train":
                code = train_main(argv)
            else:
                mtl_main(argv)
        except SystemExit as end:
            code = end.code
        streams = capfd.readouterr()
        assert isinstance(code, int)
        return Result(code, streams.out, streams.err)

    return go
