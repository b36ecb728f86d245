import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.rows import Role
from mtl.data.value_types import VALUE_TYPES
from mtl.errors import ConfigError


def convert(name: str, cell: Any) -> Any:
    return VALUE_TYPES.get(name).convert(cell)


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("text", " as is\n", " as is\n"),
        ("text", " \n", None),
        ("text", ["One. ", "Two."], "One. Two."),
        ("label", " pos ", "pos"),
        ("label", 3, "3"),
        ("label", 3.0, "3"),
        ("label", True, "true"),
        ("label", "", None),
        ("number", "1e-3", 0.001),
        ("number", 4, 4.0),
        ("number", " ", None),
        ("tokens", "a  b\tc", ["a", "b", "c"]),
        ("tokens", '["a b", "c"]', ["a b", "c"]),
        ("tokens", "[ Applause ]", ["[", "Applause", "]"]),
        ("tokens", ["a", "\u00a0"], ["a", "\u00a0"]),
        ("tokens", [], None),
        ("tags", [0, 1.0, "B-X"], ["0", "1", "B-X"]),
        ("tags", "[0, 1]", ["0", "1"]),
        ("labels", "a | b,c | a", ["a", "b,c"]),
        ("labels", "a, b", ["a", "b"]),
        ("labels", "", []),
        ("labels", [2, 1], ["2", "1"]),
        ("texts", "one, text", ["one, text"]),
        ("texts", '["one", "two"]', ["one", "two"]),
        ("texts", "[one]", ["[one]"]),
        ("texts", " ", None),
        ("texts", [], None),
        ("record", {"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_values(name: str, cell: Any, value: Any) -> None:
    assert convert(name, cell) == value


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("text", 3, "Expected text, but got 3"),
        ("text", ["a", 1], r"Expected text, but got \['a', 1\]"),
        ("text", "half \ud83d", "Expected Unicode text without half a character"),
        ("label", "\ud83d", "Expected Unicode text"),
        ("label", 0.5, "Expected a label"),
        ("label", ["a"], "Expected a label"),
        ("number", "much", "Expected a finite number, but got 'much'"),
        ("number", math.nan, "Expected a finite number, but got nan"),
        ("number", "inf", "Expected a finite number"),
        ("number", 10**400, "Expected a finite number"),
        ("number", True, "Expected a finite number, but got True"),
        ("number", [1], "Expected a finite number"),
        ("tokens", 3, "Expected a list of words, but got 3"),
        ("tokens", {"a": 1}, "Expected a list of words"),
        ("tokens", ["a", 3], "Expected a word, but got 3 as item 2 of 2"),
        ("tokens", ["a", ""], "Expected a list of words, but item 2 of 2 is empty"),
        ("tokens", "['a', 'b']", "Expected a list in JSON"),
        ("tokens", ["a", "\udc00"], "Expected Unicode text .* as item 2 of 2"),
        ("tags", ["a", None], "as item 2 of 2"),
        ("texts", ["a", " "], "Expected a list of texts, but item 2 of 2 is empty"),
        ("texts", 3, "Expected a list of texts, but got 3"),
    ],
)
def test_wrong_types(name: str, cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(name, cell)


@given(st.lists(st.text("abc|,[", min_size=1).filter(lambda w: not w.startswith("[")), min_size=1))
def test_words_survive_joining(words: list[str]) -> None:
    assert convert("tokens", " ".join(words)) == words


def test_unknown_type() -> None:
    with pytest.raises(ConfigError, match=r"type of role x.*'token'.*Did you mean 'tokens'"):
        Role("x", "token")


@pytest.mark.parametrize("cell", ["1_000", "1e999", "9" * 5000, "nan"])
def test_what_looks_like_a_number_and_is_none(cell: str) -> None:
    with pytest.raises(ValueError, match="Expected a finite number"):
        convert("number", cell)


@pytest.mark.parametrize("name", ["tokens", "tags", "labels"])
def test_ten_thousand_brackets(name: str) -> None:
    with pytest.raises(ValueError, match="not nested so deeply"):
        convert(name, "[" * 10_000 + "]" * 10_000)
