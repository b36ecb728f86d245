import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.rows import Role
from mtl.errors import ConfigError, DataError
from tests.properties import max_examples

from .roles import plain, read_classes, skipping, write

ROWS = [{"text": "good", "label": "pos", "more": [1, {"a": "]"}]}, {"text": "bad", "label": 0}]
WANTED = [{"text": "good", "label": "pos"}, {"text": "bad", "label": "0"}]


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n", [1, 2]),
        ("a.ndjson", "\r\n\r\n".join(map(json.dumps, ROWS)), [1, 3]),
        ("a.json", json.dumps(ROWS), [1, 1]),
        ("a.json", json.dumps(ROWS, indent=1), [2, 12]),
        ("a.json", json.dumps({"version": {"data": [1]}, "data": ROWS}), [1, 1]),
        ("a.json", json.dumps({"data": ROWS, "more": 1}, indent=0), [3, 13]),
        ("a.json", "\n".join(map(json.dumps, ROWS)), [1, 2]),
    ],
)
def test_lines_lists_and_data(tmp_path: Path, name: str, content: str, lines: list[int]) -> None:
    rows = read_classes(write(tmp_path / name, content))
    assert plain(rows) == WANTED
    assert [row["_line"] for row in rows] == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "good"', r"a\.jsonl:1: Expected a JSON object, but found .* \(column 16\)"),
        ("[" * 99_999, r"a\.jsonl:1: Expected a JSON object, but found values nested too deeply"),
        ('{"text": ' + "9" * 9_999, r"Expected a JSON object, but found a number of too many"),
        ('["good"]', r"a\.jsonl:1: Expected a JSON object, but got \['good'\]"),
        ("[\n{}]", r"a\.jsonl:1: .*if it is one list, set `data\.format=json`"),
        (
            '{"texts": "good", "label": 1}',
            r"Expected a column 'text', but found texts, label \(did",
        ),
        ('{"text": null, "label": 1}', r"Expected text in column 'text', but got None"),
        ('{"text": "  ", "label": 1}', r"Expected text in column 'text', but got '  '"),
        ('{"text": 7, "label": 1}', r"Expected text, but got 7 in column 'text'"),
        ('{"text": "a", "label": [1]}', r"Expected a label .* but got \[1\] in column 'label'"),
        ('{"text": "a", "label": 0.5}', r"Expected a label .* but got 0\.5 in column 'label'"),
    ],
)
def test_bad_lines(tmp_path: Path, content: str, message: str) -> None:
    good = '{"text": "good", "label": "pos"}\n'
    with pytest.raises(DataError, match=message):
        read_classes(write(tmp_path / "a.jsonl", content + "\n" + good))
    bad_rows = skipping()
    rows = read_classes(
        write(tmp_path / "b.jsonl", good + content + "\n" + good), bad_rows=bad_rows
    )
    assert len(rows) == 2
    assert {r.line for r in bad_rows.rejects} <= {2, 3}


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("7", 1, "Expected a list of objects, or an object with a list under `data`"),
        ('{"version": 1,\n "rows": []\n}', 1, "or an object with a list under `data`"),
        ('[{"text": "a", "label": 1},\n {"text": }]', 2, r"Expected JSON, but found .*column 11"),
        ('[{"text": "a", "label": 1}\n {}]', 2, "Expected JSON, but found broken JSON: no ','"),
        ('[{"text": "a", "label": 1}]\n\n7', 3, "more after the list"),
        ('[\n{"text": "a", "label": 1},\n3]', 3, "Expected a JSON object, but got 3"),
    ],
)
def test_bad_json(tmp_path: Path, content: str, line: int, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json:{line}: .*{message}"):
        read_classes(write(tmp_path / "a.json", content))


def test_numbers_are_no_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps(ROWS[0]))
    with pytest.raises(ConfigError, match=r"columns\.text` to be a column's name.*, but got 0"):
        read_classes(path, columns={"text": 0, "label": 1})


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@max_examples(80)
@given(
    rows=st.lists(st.fixed_dictionaries({"r": values}), min_size=1, max_size=4),
    indent=st.sampled_from([None, 0, 2]),
    wrapped=st.booleans(),
)
def test_any_json_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], indent: int | None, wrapped: bool
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    content = {"é": rows, "data": rows} if wrapped else rows
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), "utf-8", "replace")
    role = Role("r", "record", required=False)
    found = read_classes(path, columns={"r": "r"}, roles=(role,), format="json")
    stored = json.loads(path.read_text("utf-8"))
    expected = stored["data"] if wrapped else stored
    assert [row.get("r") for row in found] == [row["r"] for row in expected]
