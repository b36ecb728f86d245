"""Tables with a word in each row."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtl.data.readers import read_split
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import DataError

from .roles import NER, plain, skipping, write

ROLES = (*NER, Role("sentence", "label", required=False))
NAMES: dict[str, str | int] = {"tokens": "Word", "labels": "Tag"}
TWO = [
    {"tokens": ["Ada", "ran", "."], "labels": ["B-per", "O", "O"]},
    {"tokens": ["Rome", "fell", "."], "labels": ["B-geo", "O", "O"]},
]


def read(path: Path, columns: dict[str, str | int] | None = None, **options: Any) -> Rows:
    return read_split(path, columns=columns or NAMES, roles=ROLES, **options)


def table(ids: list[str], name: str = "Sentence #", between: str = ",") -> str:
    words = [(w, t) for row in TWO for w, t in zip(row["tokens"], row["labels"], strict=True)]
    lines = [[name, "Word", "Tag"], *([i, w, t] for i, (w, t) in zip(ids, words, strict=True))]
    return "".join(between.join(cells) + "\n" for cells in lines)


FILLED_ONCE = ["Sentence: 1", "", "", "Sentence: 2", "", ""]
REPEATED = ["7", "7", "7", "8", "8", "8"]


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        (FILLED_ONCE, "Sentence #"),
        (FILLED_ONCE, "No"),
        (REPEATED, "sentence_id"),
        (REPEATED, "sent"),
    ],
)
def test_a_column_tells_sentences_apart(tmp_path: Path, ids: list[str], name: str) -> None:
    notes: list[str] = []
    rows = read(write(tmp_path / "a.csv", table(ids, name)), notes=notes)
    assert plain(rows) == TWO
    assert [row["_line"] for row in rows] == [2, 5]
    assert any(f"'{name}'" in note and "columns.sentence" in note for note in notes)


def test_a_column_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", table(REPEATED, "Group"))
    with pytest.raises(DataError, match=r"each of 6 rows holds one word.*`columns\.sentence`"):
        read(path)
    rows = read(path, {**NAMES, "sentence": "Group"})
    assert [{k: row[k] for k in TWO[0]} for row in plain(rows)] == TWO


def test_columns_by_number(tmp_path: Path) -> None:
    content = table(FILLED_ONCE).partition("\n")[2]
    rows = read(write(tmp_path / "a.csv", content), {"tokens": 1, "labels": 2})
    assert plain(rows) == TWO


def test_rows_of_json_objects(tmp_path: Path) -> None:
    lines = table(REPEATED, "id").splitlines()[1:]
    cells = [dict(zip(["at", "Word", "Tag"], line.split(","), strict=True)) for line in lines]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, cells)))
    rows = read(path, {**NAMES, "sentence": "at"})
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in TWO]
    with pytest.raises(DataError, match="holds one word"):
        read(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_empty_lines_tell_sentences_apart(tmp_path: Path, name: str) -> None:
    between = "," if name == "a.csv" else "\t"
    lines = ["Word,Tag", "Ada,B-per", "ran,O", ".,O", "", "Rome,B-geo", "fell,O", ".,O"]
    content = "\n".join(lines).replace(",", between)
    assert plain(read(write(tmp_path / name, content))) == TWO


def test_a_sentence_in_two_places(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", table(["7", "7", "8", "8", "7", "8"]))
    with pytest.raises(DataError, match=r"a\.csv:6: .*sentence '7'.*stand together.*Sort"):
        read(path)


def test_a_bad_row_takes_its_sentence_with_it(tmp_path: Path) -> None:
    content = table(FILLED_ONCE).replace(",ran,O", ",ran")
    with pytest.raises(DataError, match=r"a\.csv:3: Expected 3 columns, but got 2"):
        read(write(tmp_path / "a.csv", content))
    bad_rows: BadRows = skipping()
    notes: list[str] = []
    rows = read(tmp_path / "a.csv", bad_rows=bad_rows, notes=notes)
    assert plain(rows) == TWO[1:]
    assert any("1 sentence with a bad row left out" in note for note in notes)


def test_an_empty_word_is_a_bad_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", table(FILLED_ONCE).replace(",ran,O", ",,O"))
    with pytest.raises(DataError, match=r"a\.csv:\d: .*item 2 of 3 is empty"):
        read(path)


def test_sentences_in_rows_stay_rows(tmp_path: Path) -> None:
    content = "sentence,Word,Tag\n" + "".join(f"{i},Ada ran,B-per O\n" for i in range(9))
    assert len(read(write(tmp_path / "a.csv", content))) == 9
