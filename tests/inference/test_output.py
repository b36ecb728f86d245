import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.errors import ConfigError
from mtl.inference.output import WIDTH, atomic, pretty

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
UTF8 = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


@given(values)
def test_pretty_json_is_the_same_value(value: Any) -> None:
    assert json.loads(pretty(value, UTF8)) == value


def test_short_members_stand_on_one_line() -> None:
    entity = {"text": "Ines Talbot", "label": "PER", "start": 0, "end": 11, "score": 0.9}
    text = pretty({"text": "x" * 200, "ner": {"entities": [entity, entity]}}, UTF8)
    first, long, *rest = text.splitlines()
    assert (first, long) == ("{", f'  "text": "{"x" * 200}",')
    assert rest[2] == f"      {json.dumps(entity)},"
    spread = pretty({"probabilities": {str(n): 0.25 for n in range(9)}}, UTF8)
    assert max(map(len, spread.splitlines())) <= WIDTH


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with atomic(path, "x") as out:
        out.write("one\n")
        assert not path.exists()
    with pytest.raises(KeyError), atomic(path, "x") as out:
        raise KeyError(out.write("two\n"))
    assert path.read_text() == "one\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`--x` to be a file"), atomic(tmp_path, "--x"):
        pass
    (tmp_path / "a").touch()
    with pytest.raises(ConfigError, match="Not a directory"), atomic(tmp_path / "a" / "b", "x"):
        pass
