import os
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.errors import ConfigError, DataError
from mtl.labels import (
    NONE,
    SCHEMES,
    Span,
    convert,
    detect_scheme,
    spans_of,
    to_iob2,
    write_spans,
)
from tests.data.roles import read_words

PEOPLE = {
    "iob1": "I-PER I-PER O I-PER B-PER O I-LOC",
    "iob2": "B-PER I-PER O B-PER B-PER O B-LOC",
    "bioes": "B-PER E-PER O S-PER S-PER O S-LOC",
    "io": "I-PER I-PER O I-PER I-PER O I-LOC",
}
FOUND = [("PER", 0, 2), ("PER", 3, 4), ("PER", 4, 5), ("LOC", 6, 7)]
OTHER_LETTERS = {"bilou": {"E": "L", "S": "U"}, "bmes": {"I": "M"}, "bmewo": {"I": "M", "S": "W"}}


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans in order, without overlap, and the sentence's length."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 4))
        found.append(Span(draw(st.sampled_from(["PER", "LOC", "B-cell"])), start, at))
    return found, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes"])
def test_the_example_of_the_docstring(scheme: str) -> None:
    labels = PEOPLE[scheme].split()
    assert spans_of(labels) == FOUND
    assert detect_scheme([labels]) == scheme
    for other in SCHEMES:
        assert " ".join(convert(labels, other)) == PEOPLE[other]


def test_io_joins_neighbours() -> None:
    labels = PEOPLE["io"].split()
    assert spans_of(labels) == [("PER", 0, 2), ("PER", 3, 5), ("LOC", 6, 7)]
    assert detect_scheme([labels]) == "io"
    assert to_iob2(labels, "io") == ["B-PER", "I-PER", "O", "B-PER", "I-PER", "O", "B-LOC"]


@given(sentence=sentences(), path=st.lists(st.sampled_from(["iob1", "iob2", "bioes"]), max_size=4))
def test_spans_survive_any_chain_of_schemes(
    sentence: tuple[list[Span], int], path: list[str]
) -> None:
    found, length = sentence
    labels = write_spans(found, length, "iob2")
    for scheme in path:
        labels = convert(labels, scheme)
        assert spans_of(labels) == found
        assert len(labels) == length
    assert convert(labels) == write_spans(found, length, "iob2")


@given(sentence=sentences())
def test_io_keeps_spans_that_do_not_touch(sentence: tuple[list[Span], int]) -> None:
    found, length = sentence
    touching = any(a.end == b.start and a.type == b.type for a, b in pairwise(found))
    assert (spans_of(write_spans(found, length, "io")) == found) is not touching


@given(sentence=sentences(), scheme=st.sampled_from(["iob1", "iob2", "bioes"]))
def test_detection_agrees_with_the_writer(sentence: tuple[list[Span], int], scheme: str) -> None:
    found, length = sentence
    labels = write_spans(found, length, scheme)
    told = {label[0] for label in labels} - {"O"}
    if not told:
        scheme = "iob2"
    if scheme == "iob1" and "B" not in told:
        scheme = "io"
    assert detect_scheme([labels]) == scheme


@given(st.lists(st.sampled_from(["O", "I-A", "I-B", "B-A", "B-B"]), max_size=12))
def test_any_sequence_becomes_valid_and_converting_again_changes_nothing(labels: list[str]) -> None:
    once = convert(labels)
    before = "O"
    for label in once:
        assert label[0] != "I" or before[2:] == label[2:]
        before = label
    assert convert(once) == once
    assert spans_of(labels) == by_groups(labels)


def by_groups(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Spans of B, I and O by grouping: a second reading of the same rule."""
    starts = 0
    keys = []
    for label in labels:
        starts += label[0] == "B"
        keys.append((starts, label[2:]))
    found = []
    for (_, kind), group in groupby(range(len(labels)), key=keys.__getitem__):
        places = list(group)
        if kind:
            found.append((kind, places[0], places[-1] + 1))
    return found


@pytest.mark.parametrize("letters", OTHER_LETTERS.values(), ids=OTHER_LETTERS)
def test_other_letters(letters: dict[str, str]) -> None:
    labels = ["O" if x == "O" else letters.get(x[0], x[0]) + x[1:] for x in PEOPLE["bioes"].split()]
    assert detect_scheme([labels]) == "bioes"
    assert spans_of(labels) == FOUND
    assert " ".join(to_iob2(labels, "bioes")) == PEOPLE["iob2"]


def test_few_slips_do_not_change_the_scheme() -> None:
    iob2 = PEOPLE["iob2"].split()
    iob1 = PEOPLE["iob1"].split()
    assert detect_scheme([iob2, iob2, ["O", "I-PER"]]) == "iob2"
    assert detect_scheme([iob1, iob1, ["O", "B-PER"]]) == "iob1"


@pytest.mark.parametrize(
    ("corpus", "scheme"),
    [
        ([], "iob2"),
        ([["O", "O"], []], "iob2"),
        ([["B", "I", "O", "B"]], "iob2"),
        ([["NN", "VBZ", "I", "O"]], NONE),
        ([["PER", "O"]], NONE),
        ([["0", "1"]], NONE),
        ([["-LRB-", "NN"]], NONE),
    ],
)
def test_detection_of_unusual_labels(corpus: list[list[str]], scheme: str) -> None:
    assert detect_scheme(corpus) == scheme


def test_untyped_labels_convert() -> None:
    assert convert(["B", "I", "O", "B"], "bioes") == ["B", "E", "O", "S"]


@pytest.mark.parametrize("label", ["X-PER", "PER", "B-", "-PER", "", "b-PER", "O-PER", "BPER"])
def test_invalid_labels(label: str) -> None:
    corpus = [["B-PER", "I-PER"], ["O", label]]
    sentence = rf"Expected a label such as B-PER, I-PER or O, but got '{label}'"
    with pytest.raises(DataError, match=rf"line 1: {sentence}"):
        detect_scheme(corpus, [f"line {number}" for number in range(len(corpus))])
    if label == "b-PER":  # A spelling that is read, but not beside another one.
        assert spans_of(corpus[1]) == [("PER", 1, 2)]
        return
    with pytest.raises(DataError, match=f"^{sentence}"):
        spans_of(corpus[1])


def test_labels_of_another_scheme_than_in_training() -> None:
    with pytest.raises(
        DataError, match=r"^a:3: Expected labels in iob2.*'S-PER', which is in bioes"
    ):
        to_iob2(["O", "S-PER"], "iob2", "a:3")
    with pytest.raises(ConfigError, match=r"`scheme` to be one of .*Did you mean 'iob2'"):
        to_iob2(["O"], "iob3")
    with pytest.raises(ConfigError, match=r"`scheme` to be one of"):
        convert(["O"], "none")


@pytest.mark.skipif("MTL_DATA" not in os.environ, reason="needs real corpora")
@pytest.mark.parametrize(
    ("name", "entities"), [("train", 23_499), ("testa", 5_942), ("testb", 5_648)]
)
def test_conll_2003_is_iob1_with_its_published_entities(name: str, entities: int) -> None:
    rows = read_words(Path(os.environ["MTL_DATA"]) / "conll2003" / f"eng.{name}")
    labels = list(rows.column("labels"))
    assert detect_scheme(labels) == "iob1"
    assert sum(len(spans_of(sentence)) for sentence in labels) == entities
    converted = [to_iob2(sentence, "iob1") for sentence in labels]
    assert sum(label.startswith("B-") for s in converted for label in s) == entities
    assert detect_scheme(converted) == "iob2"


def spelled(label: str, way: str) -> str:
    letter, _, type_ = label.partition("-")
    return way.format(letter, letter.lower(), type_, type_.lower()) if type_ else label


WAYS = ["{0}_{2}", "{1}-{2}", "{2}-{0}", "{2}_{0}", "{1}_{3}"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes", "io"])
def test_other_spellings(scheme: str, way: str) -> None:
    labels = [spelled(label, way) for label in PEOPLE[scheme].split()]
    assert detect_scheme([labels]) == scheme
    found = to_iob2(labels, scheme)
    usual = to_iob2(PEOPLE[scheme].split(), scheme)
    low = "{3}" in way
    assert found == [x[:2] + x[2:].lower() if low and x != "O" else x for x in usual]


@pytest.mark.parametrize(
    "labels", ["B:PER I:PER O", "BPER IPER O", "B.loc I.loc O O", "B PER|I PER|O"]
)
def test_a_spelling_that_is_not_read_is_refused(labels: str) -> None:
    names = labels.split("|") if "|" in labels else labels.split()
    with pytest.raises(DataError, match=r"spelled as in B-PER.*Write B-.*options\.scheme=none"):
        detect_scheme([["O", "O"], names], ["a.conll:1", "a.conll:4"])


@pytest.mark.parametrize(
    "labels", ["NN-S NN-P VB-S", "NOUN-M NOUN-S O", "ADJ_b ADJ_a O", "B_x C_x O"]
)
def test_labels_that_only_look_alike(labels: str) -> None:
    assert detect_scheme([labels.split()]) == NONE
