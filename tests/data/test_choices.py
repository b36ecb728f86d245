"""Choices in the forms in which data has them, and labels that say which one is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtl.data.choices import FORMS, form_of, readings, texts_of, written
from mtl.data.readers import read_split
from mtl.data.rows import BadRows, Role
from mtl.data.value_types import VALUE_TYPES
from mtl.errors import DataError, Problem
from tests.data.roles import plain, write
from tests.tasks.samples import place

KEY = "tasks.pick.options.label"
ROLES = (
    Role("text", "text"),
    Role("choices", "choices"),
    Role("label", "choice", target=True),
)


def convert(cell: object) -> Any:
    return VALUE_TYPES.get("choices").convert(cell)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (["wet", " dry "], ["wet", " dry "]),
        ([1, 2.0, "3.5"], ["1", "2", "3.5"]),
        (["wet", "dry", "", None], ["wet", "dry"]),
        ('["wet", "dry"]', ["wet", "dry"]),
        ("wet|dry|cold", ["wet", "dry", "cold"]),
        ([{"text": "wet", "label": "A"}, {"text": "dry", "label": "B"}], {"A": "wet", "B": "dry"}),
        ([{"text": "wet"}, {"text": "dry"}], ["wet", "dry"]),
        ({"text": ["wet", "dry"], "label": ["1", "2"]}, {"1": "wet", "2": "dry"}),
        ({"text": ["wet", "dry"]}, ["wet", "dry"]),
        ({"A": "wet", "B": "dry"}, {"A": "wet", "B": "dry"}),
        ('{"A": "wet", "B": "dry"}', {"A": "wet", "B": "dry"}),
        (" ", None),
    ],
)
def test_forms_of_choices(cell: object, value: object) -> None:
    found = convert(cell)
    assert found == value
    assert found is None or convert(found) == value
    if isinstance(value, dict):
        assert list(found) == list(value)
        assert texts_of(found) == list(value.values())


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("wet", "Expected two choices or more, but got"),
        (["wet"], "two choices or more"),
        ([], "two choices or more"),
        (["wet", "", "dry"], "but item 2 of 3 is empty"),
        ([None, "dry"], "but item 1 of 2 is empty"),
        ('["wet", "dry"', "in JSON"),
        ("[" * 100_000, "in JSON"),
        (7, "Expected a list of choices, but got 7"),
        (["wet", ["dry"]], r"but got \['dry'\]"),
        ({"text": ["wet", "dry"], "label": ["A"]}, "as many names of choices as texts"),
        ([{"text": "a", "label": "A"}, {"text": "b", "label": "A"}], "names occur once"),
    ],
)
def test_what_is_no_choice(cell: object, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        convert(cell)


def test_a_label_has_every_reading_that_it_can_have() -> None:
    three = ["2", "5", "1"]
    assert readings("2", three) == {"text": 0, "0": 2, "1": 1}
    assert readings("0", three) == {"0": 0}
    assert readings("3", three) == {"1": 2}
    assert readings("c", three) == {"letter": 2}
    assert readings("D", three) == {}
    assert readings("-1", three) == {}
    assert readings("²", three) == {}
    assert readings("wet", ["wet", "wet"]) == {}  # Which of them, nobody can tell.
    assert readings("B", {"B": "wet", "A": "dry"}) == {"name": 0, "letter": 1}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_back(form: str) -> None:
    choices = {"p": "wet", "q": "dry", "r": "cold"}
    for number in range(3):
        assert readings(written(number, choices, form), choices)[form] == number


def rows(*labels: str, choices: Any = ("wet", "dry", "cold")) -> list[dict[str, Any]]:
    given = choices if isinstance(choices, dict) else list(choices)
    return place([{"text": "t", "choices": given, "label": label} for label in labels])


@pytest.mark.parametrize(
    ("labels", "form"),
    [
        (["0", "1", "2"], "0"),
        (["2", "0"], "0"),
        (["1", "3"], "1"),
        (["A", "c"], "letter"),
        (["wet", "cold"], "text"),
    ],
)
def test_the_form_is_found(labels: list[str], form: str) -> None:
    assert form_of(rows(*labels), KEY) == form


def test_names_go_before_what_they_agree_with() -> None:
    named = rows("A", "B", choices={"A": "wet", "B": "dry"})
    numbered = rows("1", "2", choices={"1": "wet", "2": "dry"})
    assert form_of(named, KEY) == "name"
    assert form_of([*named, *numbered], KEY) == "name"


def told(labels: list[dict[str, Any]], asked: str = "auto") -> str:
    found = form_of(labels, KEY, asked)
    assert isinstance(found, Problem)
    return str(found)


def test_what_cannot_be_told_apart_is_asked_for() -> None:
    """With labels 1 and 2 of three choices either counting fits; what is said to do helps."""
    middle = rows("1", "2", "1")
    assert told(middle) == (
        "Expected `tasks.pick.options.label` to be one of {0, 1}, because all labels may be either,"
        " but '1' may be a number counted from 0 or a number counted from 1 in data.jsonl:1. Set "
        "`tasks.pick.options.label=0` or `tasks.pick.options.label=1`."
    )
    assert [form_of(middle, KEY, asked) for asked in "01"] == ["0", "1"]
    sums = rows("4", "2", choices=("4", "3", "2", "5"))
    assert "{text, 1}" in told(sums)
    assert form_of(rows("4", "5", choices=("4", "3", "2", "5")), KEY) == "text"


def test_a_label_that_is_not_like_the_others() -> None:
    assert told(rows("A", "C", "wet")) == (
        "data.jsonl:3: Expected a letter of 3 choices for a label, as 2 of 3 labels are, but got "
        "'wet'. Mend it, or leave the row out."
    )
    assert told(rows("0", "3"), "0").startswith("data.jsonl:2: Expected a number counted from 0")


def test_choices_in_columns(tmp_path: Path) -> None:
    """Blank ones at the end are none; one between others would move the numbers behind it."""
    lines = "q,a,b,c,gold\nWhy?,wet,dry,cold,C\nHow?,well,badly,,A\nWho?,me,,you,B\n"
    file = write(tmp_path / "some.csv", lines)
    columns = {"text": "q", "choices": ["a", "b", "c"], "label": "gold"}
    bad = BadRows("skip", "tasks.pick.data")
    found = read_split(file, columns=columns, roles=ROLES, bad_rows=bad)
    assert plain(found) == [
        {"text": "Why?", "choices": ["wet", "dry", "cold"], "label": "C"},
        {"text": "How?", "choices": ["well", "badly"], "label": "A"},
    ]
    assert [(r.line, "item 2 of 3 is empty" in r.reason) for r in bad.rejects] == [(4, True)]
    lines = '{"q": "Who?", "a": "me", "b": null, "c": "you", "gold": 1}\n'
    with pytest.raises(DataError, match="item 2 of 3 is empty"):
        read_split(write(tmp_path / "some.jsonl", lines), columns=columns, roles=ROLES)
