import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from mtl.errors import DataError
from mtl.labels import Span, spans_of
from mtl.metrics.entities import count_entities, entity_rows, entity_types
from tests.metrics.conlleval_reference import score
from tests.properties import max_examples

BIO = ["O", "B-LOC", "I-LOC", "B-A-B", "I-A-B"]
BIOES = [*BIO, "E-LOC", "S-LOC", "E-A-B", "S-A-B"]


def pairs(labels: list[str]) -> st.SearchStrategy[list[list[tuple[str, str]]]]:
    label = st.sampled_from(labels)
    return st.lists(st.lists(st.tuples(label, label), max_size=12), max_size=4)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-X I-X O", [("X", 0, 2)]),
        ("O I-X I-X", [("X", 1, 3)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("I-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("S-X S-X B-X E-X B-X E-X", [("X", 0, 1), ("X", 1, 2), ("X", 2, 4), ("X", 4, 6)]),
        ("E-X E-X I-X", [("X", 0, 1), ("X", 1, 2), ("X", 2, 3)]),
        ("B I O I", [("", 0, 2), ("", 3, 4)]),
        ("B-A-B I-A-B", [("A-B", 0, 2)]),
    ],
)
def test_spans(labels: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans_of(labels.split()) == [Span(*span) for span in expected]


@pytest.mark.parametrize("label", ["NN", "O-X", "BX", "", "B-"])
def test_a_label_of_no_scheme_is_an_error(label: str) -> None:
    with pytest.raises(DataError, match=f"but got '{label}'"):
        spans_of(["O", label])


@max_examples(300)
@given(st.lists(st.sampled_from(BIOES), max_size=12))
def test_spans_equal_seqeval_default_mode(labels: list[str]) -> None:
    # seqeval gives inclusive ends, and takes a type's last part where the tag has no hyphen of its
    # own; on labels with a tag and a type the two agree everywhere, invalid sequences included.
    assert [tuple(c) for c in spans_of(labels)] == [
        (k, s, e + 1) for k, s, e in get_entities(labels)
    ]


def test_where_seqeval_differs() -> None:
    # A bare tag has the empty type in conlleval; seqeval calls it "_".
    assert spans_of(["B", "I"]) == [("", 0, 2)]
    assert get_entities(["B", "I"]) == [("_", 0, 1)]


@max_examples(300)
@given(pairs(BIO))
def test_counts_equal_the_streaming_state_machine(data: list[list[tuple[str, str]]]) -> None:
    guess = [[g for g, _ in sentence] for sentence in data]
    truth = [[t for _, t in sentence] for sentence in data]
    rows = entity_rows(count_entities(guess, truth, ["A-B", "LOC"]), ["A-B", "LOC"])
    assert {r.type: (r.correct, r.predicted, r.gold) for r in rows[1:]} == score(guess, truth)


def columns(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    sentences = path.read_text(encoding="utf-8").strip("\n").split("\n\n")
    split = [[line.split() for line in sentence.splitlines()] for sentence in sentences]
    return [[c[-1] for c in s] for s in split], [[c[-2] for c in s] for s in split]


@pytest.mark.parametrize("name", ["conll-mild.txt", "conll-wild.txt"])
def test_conformity_with_what_conlleval_printed(name: str) -> None:
    folder = Path(os.environ.get("MTL_DATA", "")) / ".." / "conformity"
    if "MTL_DATA" not in os.environ or not (folder / name).is_file():
        pytest.skip("needs $MTL_DATA/../conformity")
    guess, truth = columns(folder / name)
    types = entity_types({label for s in (*guess, *truth) for label in s})
    total, *rows = entity_rows(count_entities(guess, truth, types), types)
    right = [g == t for a, b in zip(guess, truth, strict=True) for g, t in zip(a, b, strict=True)]
    head, overall, *types = json.loads((folder / "expected.json").read_text())[name]
    assert [int(n) for n in re.findall(r"\d+", head)] == [
        len(right),
        total.gold,
        total.predicted,
        total.correct,
    ]
    percent = [100 * x for x in (sum(right) / len(right), *total[1:4])]
    assert (
        overall
        == "accuracy: {:6.2f}%; precision: {:6.2f}%; recall: {:6.2f}%; FB1: {:6.2f}".format(
            *percent
        )
    )
    printed = [
        f"{r.type:>17}: precision: {100 * r.precision:6.2f}%; recall: {100 * r.recall:6.2f}%; "
        f"FB1: {100 * r.f1:6.2f}  {r.predicted}"
        for r in rows
    ]
    assert printed == types


def test_nothing_found_is_zero_and_empty_types_are_not_shown() -> None:
    types = entity_types(BIO)
    rows = entity_rows(count_entities([["O", "O"], []], [["B-LOC", "O"], []], types), types)
    assert rows == [("overall", 0.0, 0.0, 0.0, 0, 0, 1), ("LOC", 0.0, 0.0, 0.0, 0, 0, 1)]
