from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from mtl.config.build import Unresolved, build
from mtl.config.limits import outside, phrase


@dataclass
class Inner:
    rate: float = field(default=0.5, metadata={"min": 0, "below": 1})


@dataclass
class Options:
    count: int = field(default=3, metadata={"min": 1, "also": (-1,)})
    flag: bool = False
    name: str | None = field(default=None, metadata={"choices": ("One", "two")})
    mode: Literal["plain", "constrained"] = "plain"
    pair: list[float] = field(default_factory=lambda: [0.0, 0.0], metadata={"length": 2, "min": 0})
    weights: dict[str, float] = field(default_factory=dict)
    column: str | int = 0
    inner: Inner = field(default_factory=Inner)
    folder: Path | None = None
    any: Any = None


@dataclass
class Blank:
    prompt: str = field(default="x", metadata={"blank": True})


@dataclass
class Needed:
    path: str


def problem(values: Any) -> str:
    _, problems = build(Options, values, "o")
    assert len(problems) == 1, problems
    return problems[0]


def test_builds_the_typed_tree() -> None:
    values = {
        "count": "4",
        "flag": "yes",
        "name": "TWO",
        "pair": [1, "2e-1"],
        "weights": {"a": 1},
        "column": "x",
        "inner": {"rate": 0},
        "folder": "a/b",
        "any": [1],
    }
    made, problems = build(Options, values)
    assert problems == []
    expected = Options(
        4, True, "two", "plain", [1.0, 0.2], {"a": 1.0}, "x", Inner(0.0), Path("a/b"), [1]
    )
    assert made == expected
    assert isinstance(made.weights["a"], float)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "a "])
def test_a_text_that_may_be_blank(text: str) -> None:
    assert build(Blank, {"prompt": text}) == (Blank(text), [])
    _, problems = build(Needed, {"path": text})
    assert bool(problems) != bool(text.strip())


def test_union_keeps_the_type_it_was_given() -> None:
    assert build(Options, {"column": 3})[0].column == 3
    assert build(Options, {"column": "3"})[0].column == "3"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "Expected `o.count` to be at least 1, or -1, but got 0."),
        ({"count": 1.5}, "Expected `o.count` to be a whole number at least 1, or -1, but got 1.5."),
        (
            {"count": True},
            "Expected `o.count` to be a whole number at least 1, or -1, but got true.",
        ),
        ({"flag": "maybe"}, "Expected `o.flag` to be true or false, but got 'maybe'."),
        ({"flag": None}, "Expected `o.flag` to be true or false, but got null."),
        ({"name": "tow"}, "Expected `o.name` to be one of {One, two}, but got 'tow'."),
        ({"name": ""}, "Expected `o.name` to be one of {One, two}, but got ''."),
        (
            {"mode": "palin"},
            "Expected `o.mode` to be one of {constrained, plain}, but got 'palin'.",
        ),
        ({"pair": [1]}, "Expected `o.pair` to be a list of 2 values, but got [1]."),
        ({"pair": [1, -1]}, "Expected `o.pair[1]` to be at least 0, but got -1.0."),
        ({"pair": "ab"}, "Expected `o.pair` to be a list, but got 'ab'."),
        ({"weights": {"a": "x"}}, "Expected `o.weights.a` to be a number, but got 'x'."),
        ({"weights": 3}, "Expected `o.weights` to be a group of keys, but got 3."),
        (
            {"inner": {"rate": 1}},
            "Expected `o.inner.rate` to be at least 0 and below 1, but got 1.0.",
        ),
        (
            {"inner": {"rate": "nan"}},
            "Expected `o.inner.rate` to be a number at least 0 and below 1",
        ),
        ({"inner": 3}, "Expected `o.inner` to be a group of keys, but got 3."),
        ({"inner": {"rat": 1}}, "Unknown key `o.inner.rat`. Did you mean `o.inner.rate`?"),
        ({"flog": True}, "Unknown key `o.flog`. Did you mean `o.flag`?"),
        (3, "Expected `o` to be a group of keys, but got 3."),
    ],
)
def test_one_sentence_for_each_problem(values: Any, message: str) -> None:
    assert problem(values).startswith(message)


def test_all_problems_at_once_and_defaults_instead() -> None:
    made, problems = build(Options, {"count": 0, "flag": 3, "inner": {"rate": -1, "x": 1}})
    assert len(problems) == 4
    assert made == Options()


def test_a_value_that_has_to_be_given() -> None:
    assert build(Needed, {})[1] == ["Expected `path` to be given, but it is missing."]
    assert build(Needed, {"path": "???"})[1] == ["Expected `path` to be given, but it is missing."]
    assert build(Needed, {"path": "x"}) == (Needed("x"), [])


def test_what_could_not_be_resolved_is_not_reported_twice() -> None:
    made, problems = build(Options, {"count": Unresolved("${x}"), "column": Unresolved("${y}")})
    assert problems == []
    assert (made.count, made.column) == (3, "${y}")


def test_limits_and_their_words_agree() -> None:
    limits = {"above": 0, "max": 1}
    assert phrase(limits) == "above 0 and at most 1"
    assert phrase({"min": 0, "max": 1}) == "from 0 to 1"
    assert [outside(v, limits) for v in (0, 0.5, 1, 2)] == [True, False, False, True]
