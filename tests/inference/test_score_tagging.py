"""`mtl score` on files of labels: schemes, spellings and columns as training reads them."""

from pathlib import Path

import pytest

from mtl.inference.score import score_tagging
from mtl.labels import convert

GOLD = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "O"]
PREDICTED = ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "O"]
WORDS = ["Ada", "Bell", "left", "Rome", "Oslo", "."]
LETTERS = {"bilou": {"E": "L", "S": "U"}, "bmes": {"I": "M"}}


def score(folder: Path, gold: list[str], predicted: list[str], between: str = " ") -> object:
    path = folder / "a.txt"
    lines = (between.join(cells) for cells in zip(WORDS, gold, predicted, strict=True))
    path.write_text("\n".join(lines) + "\n")
    found = score_tagging(path)
    return found.entities, found.tokens


@pytest.mark.parametrize("letters", LETTERS.values(), ids=LETTERS)
def test_letters_of_other_schemes(tmp_path: Path, letters: dict[str, str]) -> None:
    def other(labels: list[str]) -> list[str]:
        return [letters.get(x[0], x[0]) + x[1:] for x in convert(labels, "bioes")]

    usual = score(tmp_path, GOLD, PREDICTED)
    assert score(tmp_path, other(GOLD), other(PREDICTED)) == usual


@pytest.mark.parametrize("way", ["{0}_{1}", "{1}-{0}"])
def test_other_spellings(tmp_path: Path, way: str) -> None:
    def other(labels: list[str]) -> list[str]:
        return [way.format(*x.split("-")) if "-" in x else x for x in labels]

    usual = score(tmp_path, GOLD, PREDICTED)
    assert score(tmp_path, other(GOLD), other(PREDICTED)) == usual


def test_words_of_two_parts_between_tabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = score(tmp_path, GOLD, PREDICTED)
    monkeypatch.setitem(globals(), "WORDS", ["Ada L.", *WORDS[1:-1], "# ."])
    assert score(tmp_path, GOLD, PREDICTED, between="\t") == usual
