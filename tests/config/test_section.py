"""Sections: every wrong key, type and value at once, as data."""

from typing import Annotated, Any, Literal

import pytest

from mtl.config.section import Blank, Field, Flag, Lower, Number, Section, Text, Whole, check, read
from mtl.errors import ConfigError


class Inner(Section):
    rate: Number = Field(0.5, ge=0, lt=1)


class Options(Section):
    count: Whole = Field(3, ge=1)
    flag: Flag = False
    name: Annotated[Literal["one", "two"], Lower] | None = None
    mode: Literal["plain", "constrained"] = "plain"
    pair: list[Annotated[Number, Field(ge=0)]] = Field([0.0, 0.0], min_length=2, max_length=2)
    weights: dict[str, Number] = {}
    column: Text | None = None
    inner: Inner = Inner()
    any: Any = None
    """Anything."""


class Spaces(Section):
    prompt: Blank = "x"


class Needed(Section):
    path: Text


def problem(values: Any) -> str:
    _, problems = check(Options, values, "o")
    assert len(problems) == 1, problems
    return str(problems[0])


def test_builds_the_typed_tree() -> None:
    values = {
        "count": "4",
        "flag": "yes",
        "name": "TWO",
        "pair": [1, "2e-1"],
        "weights": {"a": 1},
        "column": 7,
        "inner": {"rate": 0},
        "any": [1],
    }
    made, problems = check(Options, values)
    assert problems == []
    assert made == Options(
        count=4,
        flag=True,
        name="two",
        pair=[1.0, 0.2],
        weights={"a": 1.0},
        column="7",
        inner=Inner(rate=0.0),
        any=[1],
    )
    assert isinstance(made.weights["a"], float)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "a "])
def test_a_text_that_may_be_blank(text: str) -> None:
    assert check(Spaces, {"prompt": text}) == (Spaces(prompt=text), [])
    _, problems = check(Needed, {"path": text})
    assert bool(problems) != bool(text.strip())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "Expected `o.count` to be a whole number at least 1, but got 0."),
        ({"count": 1.5}, "Expected `o.count` to be a whole number at least 1, but got 1.5."),
        ({"count": 1.0}, "Expected `o.count` to be a whole number at least 1, but got 1.0."),
        ({"count": True}, "Expected `o.count` to be a whole number at least 1, but got true."),
        ({"count": None}, "Expected `o.count` to be a whole number at least 1, but got null."),
        ({"count": [1]}, "Expected `o.count` to be a whole number at least 1, but got [1]."),
        ({"flag": "maybe"}, "Expected `o.flag` to be true or false, but got 'maybe'."),
        ({"flag": None}, "Expected `o.flag` to be true or false, but got null."),
        ({"flag": 1}, "Expected `o.flag` to be true or false, but got 1."),
        ({"name": "tow"}, "Expected `o.name` to be one of {one, two}, but got 'tow'. Did you"),
        ({"name": ""}, "Expected `o.name` to be one of {one, two}, but got ''."),
        (
            {"mode": "palin"},
            "Expected `o.mode` to be one of {constrained, plain}, but got 'palin'.",
        ),
        ({"pair": [1]}, "Expected `o.pair` to be a list of 2 values, but got [1]."),
        ({"pair": [1, -1]}, "Expected `o.pair[1]` to be a number at least 0, but got -1."),
        ({"pair": "ab"}, "Expected `o.pair` to be a list of 2 values, but got 'ab'."),
        ({"weights": {"a": "x"}}, "Expected `o.weights.a` to be a number, but got 'x'."),
        ({"weights": 3}, "Expected `o.weights` to be a group of keys, but got 3."),
        (
            {"inner": {"rate": 1}},
            "Expected `o.inner.rate` to be a number at least 0 and below 1, but got 1.",
        ),
        ({"inner": {"rate": "nan"}}, "Expected `o.inner.rate` to be a number at least 0 and bel"),
        ({"inner": {"rate": "inf"}}, "Expected `o.inner.rate` to be a number at least 0 and bel"),
        ({"inner": 3}, "Expected `o.inner` to be a group of keys, but got 3."),
        ({"inner": {"rat": 1}}, "Expected `o.inner.rat` to be a key, but it is none. Did you mean"),
        ({"flog": True}, "Expected `o.flog` to be a key, but it is none. Did you mean `o.flag`?"),
        (3, "Expected `o` to be a group of keys, but got 3."),
    ],
)
def test_one_sentence_for_each_problem(values: Any, message: str) -> None:
    assert problem(values).startswith(message)


def test_problems_are_data() -> None:
    _, (first, second) = check(Options, {"count": 0, "inner": {"rat": 1}}, "o")
    assert (first.where, first.found) == ("o.count", "got 0")
    assert (second.where, second.advice) == ("o.inner.rat", "Did you mean `o.inner.rate`?")


def test_all_problems_at_once_and_defaults_instead() -> None:
    made, problems = check(Options, {"count": 0, "flag": 3, "inner": {"rate": -1, "x": 1}})
    assert len(problems) == 4
    assert made == Options()


def test_a_value_that_has_to_be_given() -> None:
    for values in ({}, {"path": "???"}):
        with pytest.raises(ConfigError, match=r"^Expected `path` to be given, but it is"):
            read(Needed, values)
    assert read(Needed, {"path": "x"}) == Needed(path="x")


def test_sections_do_not_share_their_defaults() -> None:
    Options().weights["a"] = 1.0
    Options().inner.rate = 0.1
    assert Options().weights == {}
    assert Options().inner.rate == 0.5


def test_docstrings_describe_the_fields() -> None:
    assert Options.model_fields["any"].description == "Anything."


def test_a_value_that_has_to_be_given_is_reported_once() -> None:
    _, problems = check(Needed, {"path": [1], "more": 2})
    assert [str(problem) for problem in problems] == [
        "Expected `path` to be a text, but got [1].",
        "Expected `more` to be a key, one of {path}, but it is none.",
    ]
