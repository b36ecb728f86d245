"""Roles that are read from several columns, and columns of one split."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import DataConfig
from mtl.config.section import read
from mtl.data.readers import read_split
from mtl.data.rows import Role
from mtl.errors import ConfigError, DataError
from tests.data.roles import CLASSES, plain, skipping, write

from .test_sources import load_section

TEXTS = (Role("text", "text"), Role("target", "texts", target=True))
SUMMARIES = {"text": "dialogue", "target": ["summary1", "summary2"]}
ROWS = [
    {"dialogue": "A: Hi.", "summary1": "They greet.", "summary2": "A greeting."},
    {"dialogue": "A: Bye.", "summary1": "They part.", "summary2": ""},
]
FOUND = [
    {"text": "A: Hi.", "target": ["They greet.", "A greeting."]},
    {"text": "A: Bye.", "target": ["They part."]},
]


def as_json(rows: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, rows))


def as_csv(rows: list[dict[str, Any]]) -> str:
    return "\n".join(
        ",".join(cells) for cells in [list(rows[0]), *(list(r.values()) for r in rows)]
    )


@pytest.mark.parametrize(("name", "write_as"), [("a.jsonl", as_json), ("a.csv", as_csv)])
def test_several_references(tmp_path: Path, name: str, write_as: Any) -> None:
    path = write(tmp_path / name, write_as(ROWS))
    assert plain(read_split(path, columns=SUMMARIES, roles=TEXTS)) == FOUND


def test_columns_by_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "Hi.\tOne.\tTwo.\n")
    rows = read_split(path, columns={"text": 0, "target": [1, 2]}, roles=TEXTS)
    assert plain(rows) == [{"text": "Hi.", "target": ["One.", "Two."]}]


def test_a_text_of_two_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "title,body,label\nRain,It fell.,wet\n,It shone.,dry\n")
    notes: list[str] = []
    columns = {"text": ["title", "body"], "label": "label"}
    rows = read_split(path, columns=columns, roles=CLASSES, notes=notes)
    assert [row["text"] for row in rows] == ["Rain It fell.", "It shone."]
    assert notes == [f"data: the columns title, body are read as one text in {path}."]


def test_one_of_several_columns_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", as_csv(ROWS))
    with pytest.raises(
        DataError, match=r"Expected a column 'summary3'.*columns\.target\[1\]=summary"
    ):
        read_split(
            path,
            columns={"text": "dialogue", "target": ["summary1", "summary3"]},
            roles=TEXTS,
            bad_rows=skipping(),
        )


def test_no_reference_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", as_json([{**ROWS[1], "summary1": " "}]))
    with pytest.raises(
        DataError, match=r"a\.jsonl:1: Expected texts in column 'summary1, summary2'"
    ):
        read_split(path, columns=SUMMARIES, roles=TEXTS)


def test_a_role_that_has_one_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,a,b\nHi,x,y\n")
    with pytest.raises(ConfigError, match=r"`columns\.label` to be one column"):
        read_split(path, columns={"text": "text", "label": ["a", "b"]}, roles=CLASSES)


def test_columns_of_one_split(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", as_json([{"d": "A: Hi.", "s": "They greet."}]))
    test = write(tmp_path / "test.jsonl", as_json(ROWS))
    files = {"train": str(train), "validation": str(train), "test": str(test)}
    data = read(DataConfig, {**files, "columns": {"test": SUMMARIES}}, "tasks.x.data")
    splits = load_section(data, {"text": "d", "target": "s"}, TEXTS)
    assert plain(splits.train) == [{"text": "A: Hi.", "target": ["They greet."]}]  # type: ignore[arg-type]
    assert plain(splits.test) == FOUND  # type: ignore[arg-type]


def test_a_column_of_0_and_1_for_each_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,rude,loud\nHi,0,1\nHo,1,1\nHm,0,0\n")
    roles = (Role("text", "text"), Role("label", "labels", target=True))
    rows = read_split(path, columns={"text": "text", "label": ["rude", "loud"]}, roles=roles)
    assert [row["label"] for row in rows] == [["loud"], ["rude", "loud"], []]
