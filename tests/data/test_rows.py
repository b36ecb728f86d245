import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.readers.table import make_rows
from mtl.data.rows import BadRows, Role, Rows, where, write_rejects
from mtl.errors import ConfigError, DataError
from tests.properties import max_examples

from .roles import NER, read_classes, read_words, skipping, write

ROLES = (
    Role("text", "text"),
    Role("tokens", "tokens", required=False),
    Role("score", "number", required=False),
    Role("extra", "record", required=False),
)


def some_rows(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        row: dict[str, Any] = {"text": f"text {n}", "_file": "f", "_line": n + 1, "_id": f"x-{n}"}
        if n % 2:
            row["tokens"] = ["a"] * (n % 5 + 1)
            row["extra"] = {"n": [n, None]}
        yield row


@pytest.mark.parametrize("limit", [0, 1 << 16, 1 << 30])
def test_rows_come_back_from_memory_and_from_disk(limit: int) -> None:
    rows = make_rows(some_rows(2_500), ROLES, limit)
    assert (rows.path is None) == (limit == 1 << 30)
    assert list(rows) == list(some_rows(2_500))
    assert rows.roles == ["text", "tokens", "extra"]
    assert list(rows.column("extra"))[:2] == [None, {"n": [1, None]}]
    assert list(pickle.loads(pickle.dumps(rows[7:9]))) == list(some_rows(9))[7:]


@max_examples(30)
@given(data=st.data())
def test_selections_compose(data: st.DataObject) -> None:
    rows = make_rows(some_rows(20), ROLES)
    expected = list(some_rows(20))
    for _ in range(2):
        chosen = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1))
        rows, expected = rows.select(chosen), [expected[i] for i in chosen]
        assert list(rows) == expected
        assert list(rows.column("text")) == [row["text"] for row in expected]
    assert list(rows[::-2]) == expected[::-2]
    assert rows[-1] == expected[-1]


def test_index_outside() -> None:
    rows = make_rows(some_rows(3), ROLES)
    assert isinstance(rows, Rows)
    for index in (3, -4):
        with pytest.raises(IndexError, match="between 0 and 2"):
            rows[index]


def test_where_without_lines() -> None:
    assert where({"_file": "a.parquet", "_line": 0}) == "a.parquet"


def test_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,text,label\nx,good,1\n,bad,0\nx,so,1\n")
    columns = {"text": "text", "label": "label", "id": "id"}
    bad_rows = skipping()
    rows = read_classes(path, columns=columns, split="dev", bad_rows=bad_rows)
    assert [row["_id"] for row in rows] == ["x", "dev-1"]
    assert "id" not in rows[0]
    assert (
        bad_rows.rejects[0].reason == "Expected ids that occur once, but 'x' is a second time here"
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tokens": 0}, r"columns\.labels` to be the column of the task's labels"),
        ({"tokens": 0, "label": 1}, r"`columns` to be one of \{id, labels, tokens\}.*'labels'"),
        ({"tokens": 0, "labels": True}, r"columns\.labels` to be a column's name or number"),
        ({"tokens": 0, "labels": None}, r"columns\.labels` to be a column's name or number"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, columns: Any, message: str) -> None:
    path = write(tmp_path / "a.conll", "a O\n")
    with pytest.raises(ConfigError, match=message):
        read_words(path, columns=columns, roles=NER)


def test_unequal_words_and_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"t": ["a", "b"], "l": ["O"]}\n')
    expected = r"a\.jsonl:1: Expected one of `labels` for each of 2 tokens, but got 1"
    with pytest.raises(DataError, match=expected):
        read_words(path, columns={"tokens": "t", "labels": "l"})


def test_rejects_are_counted_and_written(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n,1\nbad,0\nso\n")
    bad_rows = skipping()
    assert len(read_classes(path, bad_rows=bad_rows)) == 1
    assert len(bad_rows) == 2
    assert bad_rows.summary() == (
        "2 rows were skipped (`tasks.ner.data.on_bad_row=skip`), the first at "
        f"{path}:2: Expected text in column 'text', but got ''."
    )
    write_rejects(tmp_path / "rejected.jsonl", [bad_rows])
    found = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [r["line"] for r in found] == [2, 4]
    assert found[0]["raw"] == {"text": "", "label": "1"}
    assert found[1] == {
        "file": str(path),
        "line": 4,
        "reason": "Expected 2 columns, but got 1",
        "raw": ["so"],
        "section": "tasks.ner.data",
    }
    write_rejects(tmp_path / "both.jsonl", [bad_rows, bad_rows])
    assert len((tmp_path / "both.jsonl").read_text().splitlines()) == 4


def test_half_a_character_can_be_rejected(tmp_path: Path) -> None:
    good = '{"text": "a", "label": 1}\n'
    path = write(tmp_path / "a.jsonl", good + '{"text": "\\ud83d", "label": 1}\n')
    bad_rows = skipping()
    assert len(read_classes(path, bad_rows=bad_rows)) == 1
    write_rejects(tmp_path / "rejected.jsonl", [bad_rows])
    found = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert found["raw"]["text"] == "\ud83d"


def test_all_rows_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n,1\n")
    with pytest.raises(
        DataError, match=r"all 1 were skipped, the first at .*a\.csv:2: Expected text"
    ):
        read_classes(path, bad_rows=skipping())


def test_the_first_bad_row_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n,1\n")
    with pytest.raises(DataError, match=r"Mend it, or set `tasks\.x\.data\.on_bad_row=skip`"):
        read_classes(path, bad_rows=BadRows("error", "tasks.x.data"))


def test_unknown_policy() -> None:
    with pytest.raises(
        ConfigError, match=r"`data\.on_bad_row` to be one of \{error, skip\}.*'skp'"
    ):
        BadRows("skp")
