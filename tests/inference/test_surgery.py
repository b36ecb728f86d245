"""``mtl heads``: what stays answers as before, bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtl.inference.predictor import RowPredictor
from tests.inference.conftest import SENTENCES, Run, check_error

TEXTS = [text for text, *_ in SENTENCES]


def answers(folder: Path, task: str) -> list[torch.Tensor]:
    """Return a task's logits of each text."""
    predictor = RowPredictor(folder, "cpu")
    rows = [{"_file": "row", "_line": n, "text": t} for n, t in enumerate(TEXTS)]
    _, store = predictor.encode(predictor.tasks[task], rows, None)
    found: dict[int, torch.Tensor] = {}
    for answered in predictor.outputs(
        [store], decode=lambda n, logits, e: list(logits.split(e.sizes))
    ):
        found.update(zip(answered.numbers, answered.outputs, strict=True))
    return [found[n] for n in sorted(found)]


def same(folder: Path, task: str, other: Path, as_task: str | None = None) -> bool:
    pairs = zip(answers(folder, task), answers(other, as_task or task), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_heads_are_listed(mtl: Run, trained: Path) -> None:
    code, out, err = mtl("heads", trained)
    assert (code, err) == (0, "")
    assert "text_classification" in out
    assert all(name in out for name in ("ner", "sentiment", "rating"))


def test_removed_and_renamed_heads_leave_the_others_bit_for_bit(
    mtl: Run, trained: Path, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    change = ("--remove", "rating", "--rename", "sentiment=mood", "--output", to)
    code, _, err = mtl("heads", trained, *change)
    assert code == 0, err
    assert same(trained, "ner", to)
    assert same(trained, "sentiment", to, "mood")
    heads = sorted(p.name for p in to.glob("head-*"))
    assert heads == ["head-mood.safetensors", "head-ner.safetensors"]
    assert (to / "model.safetensors").read_bytes() == (
        trained / "model" / "model.safetensors"
    ).read_bytes()
    assert list(json.loads((to / "mtl.json").read_text("utf-8"))["tasks"]) == ["ner", "mood"]


def test_a_head_is_added_where_the_trunk_is_the_same(
    mtl: Run, trained: Path, tmp_path: Path
) -> None:
    small, both = tmp_path / "small", tmp_path / "both"
    assert mtl("heads", trained, "--only", "ner", "--output", small)[0] == 0
    code, _, err = mtl("heads", small, "--add", f"{trained}:rating", "--output", both)
    assert code == 0, err
    assert same(trained, "rating", both)
    assert same(trained, "ner", both)
    check_error(
        mtl("heads", both, "--add", f"{trained}:rating", "--output", tmp_path / "c"), "a task of it"
    )
    other = shutil.copytree(trained / "model", tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    name = min(weights)
    weights[name].view(-1)[0] += 1e-6
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    refused = mtl("heads", small, "--add", f"{other}:rating", "--output", tmp_path / "d")
    check_error(refused, "bit for bit", f"1 of its {len(weights)} weights differ", "init=RUN")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("--remove", "nerr", "--output", "x"), "Did you mean 'ner'?"),
        (("--remove", "ner"), "`--output`"),
        (("--output", "x"), "--remove"),
        (("--remove", "ner", "--only", "ner", "--output", "x"), "got both"),
        (("--remove", "ner,sentiment,rating", "--output", "x"), "to leave a task"),
        (("--rename", "ner", "--output", "x"), "OLD=NEW"),
        (("--rename", "ner=../x", "--output", "x"), "'../x'"),
        (("--rename", "ner=rating", "--output", "x"), "a task of it"),
        (("--add", "nowhere:ner", "--output", "x"), "no such folder"),
    ],
)
def test_mistakes_are_one_sentence(
    mtl: Run,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    check_error(mtl("heads", trained, *typed), says)
    assert list(tmp_path.iterdir()) == []
