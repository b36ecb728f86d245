"""Spans of characters: put right, and laid on words."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data import spans as said
from mtl.data.spans import CharSpan, apart, lay, placed, tagged, utf16_places
from mtl.data.value_types import VALUE_TYPES
from mtl.data.word_rule import WordRule
from tests.properties import max_examples

TEXT = "Ines Talbot left Brackwater."
PER, LOC = (0, 11, "PER"), (17, 27, "LOC")
SPANS = st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12), st.sampled_from("XY")))


def convert(cell: object) -> Any:
    return VALUE_TYPES.get("spans").convert(cell)


def as_spans(*triples: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [dict(zip(("start", "end", "label"), triple, strict=True)) for triple in triples]


@pytest.mark.parametrize(
    "cell",
    [
        [[0, 11, "PER"], [17, 27, "LOC"]],
        [(0, 11, "PER"), ("17", 27.0, "LOC", "more")],
        '[[0, 11, "PER"], [17, 27, "LOC"]]',
        [{"start": 0, "end": 11, "label": "PER"}, {"begin": 17, "end": 27, "type": "LOC"}],
        [
            {"start_offset": 0, "end_offset": 11, "labels": ["PER"]},
            {"start_char": 17, "end_char": 27, "tag": "LOC"},
        ],
        [
            {"offset": 0, "length": 11, "category": "PER"},
            {"startOffset": 17, "endOffset": 27, "entity_group": "LOC"},
        ],
        {"entities": [[0, 11, "PER"], [17, 27, "LOC"]]},
        {"start": [0, 17], "end": [11, 27], "label": ["PER", "LOC"]},
    ],
)
def test_spans_in_every_form(cell: object) -> None:
    assert convert(cell) == as_spans(PER, LOC)


def test_no_spans_several_labels_and_what_is_held() -> None:
    assert convert([]) == convert("") == convert({}) == convert("[]") == []
    assert convert([{"start": 0, "end": 4, "labels": ["PER", "POET"], "text": "Ines"}]) == [
        {"start": 0, "end": 4, "label": "PER", "text": "Ines"},
        {"start": 0, "end": 4, "label": "POET", "text": "Ines"},
    ]


@pytest.mark.parametrize(
    "cell",
    [
        3, "PER", "[[0, 4", [3], [[0, 4]], ["PER"], [[0, "x", "PER"]], [[0, 4, ""]], [[0, 4, None]],
        [[True, 4, "PER"]], [{"start": 0, "label": "PER"}], [{"start": 0, "end": 4}],
        [{"start": 0, "end": 4, "labels": []}], {"start": [0], "end": [4, 5], "label": ["PER"]},
        "[" * 100_000, [["9" * 5000, 4, "PER"]],
    ],
)  # fmt: skip
def test_what_are_no_spans(cell: object) -> None:
    with pytest.raises(ValueError, match="Expected"):
        convert(cell)


def labels(text: str, *triples: tuple[int, int, str]) -> tuple[list[str], list[str], Counter[str]]:
    counts: Counter[str] = Counter()
    found = apart(placed(text, as_spans(*triples), counts), counts)
    laid = lay(found, *WordRule().split(text), counts)
    words = [text[s:e] for s, e in zip(laid.starts, laid.ends, strict=True)]
    return words, tagged(laid), Counter({key: n for key, n in counts.items() if n})


def test_words_under_spans() -> None:
    words, tags, counts = labels(TEXT, LOC, PER)
    assert words == ["Ines", "Talbot", "left", "Brackwater", "."]
    assert tags == ["B-PER", "I-PER", "O", "B-LOC", "O"]
    assert not counts


def test_a_span_that_cuts_words_splits_them() -> None:
    words, tags, counts = labels("pre-Talbot hats", (4, 7, "PER"), (7, 12, "X"))
    assert words == ["pre-", "Tal", "bot", "h", "ats"]
    assert tags == ["O", "B-PER", "B-X", "I-X", "O"]
    assert counts == {said.CUTS: 2}


@pytest.mark.parametrize(
    ("span", "key"),
    [
        ((20, 29, "X"), said.OUTSIDE),
        ((-1, 4, "X"), said.OUTSIDE),
        ((40, 50, "X"), said.OUTSIDE),
        ((5, 3, "X"), said.REVERSED),
        ((4, 4, "X"), said.EMPTY),
        ((4, 5, "X"), said.EMPTY),
        ((0, 4, "X"), said.OVERLAP),
        ((5, 16, "X"), said.OVERLAP),
    ],
)
def test_what_cannot_be_laid_is_left_out_and_counted(span: Any, key: str) -> None:
    _, tags, counts = labels(TEXT, PER, span)
    assert tags == ["B-PER", "I-PER", "O", "O", "O"]
    assert counts == {key: 1}


def test_a_span_of_another_text() -> None:
    with pytest.raises(
        ValueError, match=r"span 0 to 4 \(PER\) to hold 'Rosa', as it says, .*'Ines'"
    ):
        placed(TEXT, [{"start": 0, "end": 4, "label": "PER", "text": "Rosa"}], Counter())


def test_offsets_in_utf16_are_told_by_what_spans_hold() -> None:
    text = "👍 Ines met 👨‍👩‍👧 Bo"
    units = text.encode("utf-16-le")
    given = []
    for name in ("Ines", "Bo"):
        at = units.index(name.encode("utf-16-le")) // 2
        given.append({"start": at, "end": at + len(name), "label": "PER", "text": name})
    counts: Counter[str] = Counter()
    found = placed(text, given, counts)
    assert [text[s.start : s.end] for s in found] == ["Ines", "Bo"]
    assert counts == {said.UTF16: 2}
    counts.clear()
    again = [{**s._asdict(), "text": text[s.start : s.end]} for s in found]
    assert placed(text, again, counts) == found
    assert not counts


@given(st.text(st.sampled_from("aé👍東"), max_size=8))
def test_places_in_utf16(text: str) -> None:
    places = utf16_places(text)
    for at in range(len(text) + 1):
        assert places.units[at] == len(text[:at].encode("utf-16-le")) // 2
        assert places(places.units[at]) == at
    assert places(places.units[-1] + 3) == len(text) + 3
    assert places(-2) == -2


@given(st.text(st.sampled_from("ab .-"), max_size=10), SPANS)
@max_examples(200)
def test_labels_are_those_of_characters(text: str, given_spans: list[Any]) -> None:
    """Each character of a word has the label of the span that was kept over it."""
    counts: Counter[str] = Counter()
    kept = apart(placed(text, as_spans(*given_spans), counts), counts)
    assert all(a.end <= b.start for a, b in itertools.pairwise(kept))
    by_place = {at: (n, s.label) for n, s in enumerate(kept) for at in range(s.start, s.end)}
    laid = lay(kept, *WordRule().split(text), counts)
    before = None
    for start, end, tag in zip(laid.starts, laid.ends, tagged(laid), strict=True):
        over = {by_place.get(at) for at in range(start, end)}
        assert len(over) == 1
        (found,) = over
        expected = "O" if found is None else f"{'I' if found == before else 'B'}-{found[1]}"
        assert tag == expected
        before = found
    assert sum(counts.values()) + len(kept) >= len({*given_spans})


def test_of_overlapping_spans_the_longest_stay() -> None:
    spans = [CharSpan(*s) for s in [(0, 4, "A"), (3, 9, "B"), (8, 10, "C"), (9, 10, "D")]]
    counts: Counter[str] = Counter()
    assert [s.label for s in apart(spans, counts)] == ["B", "D"]
    assert counts == {said.OVERLAP: 2}
