"""Training from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mtl
from mtl.cli.train import main
from mtl.errors import ConfigError, MtlError

QUICK = [
    "task=sentiment",
    "tasks.sentiment.data.max_examples=20",
    "trainer.max_steps=1",
    "trainer.threads=1",
    "trainer.progress=false",
    "logger=none",
]


@pytest.mark.slow
def test_a_run_is_that_of_the_command(tmp_path: Path) -> None:
    import torch

    torch.use_deterministic_algorithms(False)  # Another test may have left it on.
    run = mtl.train([*QUICK, f"hydra.run.dir={tmp_path / 'python'}"])
    assert not torch.are_deterministic_algorithms_enabled()
    assert run.folder == tmp_path / "python"
    assert run.metrics == json.loads((run.folder / "metrics.json").read_text())
    assert main([*QUICK, f"hydra.run.dir={tmp_path / 'command'}"]) == 0
    torch.use_deterministic_algorithms(False)
    assert json.loads((tmp_path / "command" / "metrics.json").read_text()) == run.metrics
    assert run.load("cpu").predict("We loved it.")["sentiment"].label


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("task=ner", r"mtl.train\(\['task=ner'\]\)"),
        (["-m", "task=ner"], " -m …"),
        (["resume=outputs/run"], "resume=RUN"),
    ],
)
def test_what_is_for_the_command_line(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        mtl.train(overrides)


def test_a_mistake_is_the_command_s_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = ["task=sentiment", "trunk.lrr=1", f"hydra.run.dir={tmp_path / 'run'}"]
    with pytest.raises(MtlError) as error:
        mtl.train(wrong)
    assert main(wrong) == 2
    assert capsys.readouterr().err == f"error: {error.value}\n"
    assert not (tmp_path / "run").exists()
