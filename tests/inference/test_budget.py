"""Passes of `mtl evaluate` and `mtl predict` fit into memory as those of training did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.training.model import MultiTaskModel
from tests.inference.conftest import Run

TEXTS = [f"--text=Ines Talbot liked the {what} ." for what in ("soup", "mill", "bay", "pump")]


@pytest.fixture
def scaled(run: Path) -> Path:
    """The run, as if it had been trained in passes of at most 30 tokens."""
    file = run / "model" / "mtl.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "tokens": 30}))
    return run


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each pass of the trunk; those of more than 50 run out of memory."""
    original = MultiTaskModel.forward
    found: list[int] = []

    def counted(self: MultiTaskModel, batch: Any, recall: Any = None) -> Any:
        found.append(batch.trunk.input_ids.numel())
        if found[-1] > 50:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return original(self, batch, recall)

    monkeypatch.setattr(MultiTaskModel, "forward", counted)
    return found


def test_the_budget_of_training_holds(scaled: Path, sizes: list[int], mtl: Run) -> None:
    code, out, err = mtl("evaluate", scaled, "--json")
    assert code == 0, err
    assert 0 < max(sizes) <= 30
    few = len(sizes)
    sizes.clear()
    code, again, err = mtl("evaluate", scaled, "--json", "--tokens", "50")
    assert code == 0, err
    assert 30 < max(sizes) <= 50
    assert len(sizes) < few
    assert {n: t["scores"] for n, t in json.loads(again)["tasks"].items()} == {
        n: pytest.approx(t["scores"], abs=1e-5) for n, t in json.loads(out)["tasks"].items()
    }


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_memory_that_runs_out_is_a_sentence(
    scaled: Path, sizes: list[int], mtl: Run, command: str
) -> None:
    more = TEXTS if command == "predict" else ()
    code, out, err = mtl(command, scaled, *more, "--tokens", "4000")
    assert max(sizes) > 50
    assert (code, out) == (2, "")
    assert err.endswith(
        "error: Expected enough memory, but it ran out (tried to allocate 20.00 mib); lower "
        "`--tokens` (4000).\n"
    )
    assert mtl(command, scaled, *more)[0] == 0
