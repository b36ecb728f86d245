"""How answers are judged and shown, each form against answers whose mistake is known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.reporting.mistakes import Block, comparison_of
from mtl.reporting.mistakes.base import LONGEST
from mtl.reporting.mistakes.entities import Span, marked, mistakes


def judged(answer: dict[str, Any], expected: dict[str, Any]) -> tuple[float, list[str]]:
    comparison = comparison_of(answer)
    assert comparison is not None
    found = comparison.judge(answer, expected)
    return round(found.wrong, 3), found.kinds


def text_of(block: Block) -> str:
    return "".join(piece.text for piece in block.pieces)


SURE = {"label": "bad", "probabilities": {"good": 0.1, "bad": 0.9}}


@pytest.mark.parametrize(
    ("answer", "expected", "wrong", "kinds"),
    [
        (SURE, {"label": "bad"}, 0.0, []),
        (SURE, {"label": "good"}, 0.9, ["good as bad"]),
        ({"label": None, "probabilities": {"good": 0.5}}, {"label": "good"}, 0.5, None),
        ({"labels": ["a"]}, {"label": ["a", "b"]}, 0.5, ["missed b"]),
        ({"labels": []}, {"label": []}, 0.0, []),
        ({"value": 3.0}, {"label": 2.0}, 0.5, ["too high"]),
        ({"value": 2.0}, {"label": 2.0}, 0.0, []),
        ({"answer": "the sea", "start": 0, "end": 7}, {"answers": []}, 1.0, None),
        ({"answer": "", "start": None, "end": None}, {"answers": []}, 0.0, []),
        ({"text": "a b c d"}, {"target": ["a b c d", "x"]}, 0.0, []),
        ({"text": "a b x d"}, {"target": "a b c d"}, 0.25, ["differs"]),
        ({"text": " "}, {"target": "a"}, 1.0, ["nothing written"]),
    ],
)
def test_how_wrong_an_answer_is(
    answer: dict[str, Any], expected: dict[str, Any], wrong: float, kinds: list[str] | None
) -> None:
    found = judged(answer, expected)
    assert found[0] == wrong
    if kinds is not None:
        assert found[1] == kinds


def test_a_choice_is_not_a_label() -> None:
    answer = {"choice": "a sea", "label": "B", "probabilities": [0.2, 0.8]}
    assert judged(answer, {"choice": "a lake", "label": "A", "number": 0}) == (0.8, ["wrong"])
    assert judged(answer, {"choice": "a sea", "label": "B", "number": 1}) == (0.0, [])


def test_an_answer_that_stands_beside_the_right_one() -> None:
    expected = {"answers": [{"text": "the old mill", "start": 4}]}
    near = {"answer": "old mill", "start": 8, "end": 16}
    assert judged(near, expected)[1] == []  # Articles do not count.
    edge = {"answer": "mill", "start": 12, "end": 16}
    assert judged(edge, expected)[1] == ["edge of the answer"]
    far = {"answer": "river", "start": 30, "end": 35}
    assert judged(far, expected) == (1.0, ["another place"])


def test_words() -> None:
    right = {"words": [{"text": "a", "label": "DET"}, {"text": "sea", "label": "NOUN"}]}
    found = {"words": [{"text": "a", "label": "DET"}, {"text": "sea", "label": "VERB"}]}
    assert judged(found, right) == (0.5, ["NOUN as VERB"])
    comparison = comparison_of(found)
    assert comparison is not None
    (block,) = comparison.show({"text": "a sea"}, found, right)
    assert [(p.text, p.label) for p in block.pieces if p.mark] == [("sea", "NOUN as VERB")]


@pytest.mark.parametrize(
    ("right", "found", "kinds"),
    [
        ([(0, 4, "PER")], [(0, 4, "PER")], []),
        ([(0, 4, "PER")], [], ["PER missed"]),
        ([], [(0, 4, "PER")], ["PER found without reason"]),
        ([(0, 9, "PER")], [(0, 4, "PER"), (5, 9, "LOC")], ["edge of PER", "PER in pieces"]),
        ([(0, 9, "PER")], [(5, 9, "PER")], ["edge of PER"]),
        ([(0, 9, "PER")], [(0, 9, "ORG")], ["label: PER as ORG"]),
        ([(0, 9, "PER")], [(5, 9, "ORG")], ["edge and label: PER as ORG"]),
        ([(0, 9, "PER"), (0, 9, "ORG")], [(0, 9, "PER")], ["ORG missed"]),
    ],
)
def test_edges_are_told_from_labels(
    right: list[tuple[int, int, str]], found: list[tuple[int, int, str]], kinds: list[str]
) -> None:
    assert list(mistakes([Span(*s) for s in right], [Span(*s) for s in found])) == kinds


SPANS = st.lists(
    st.builds(
        lambda start, size, label: Span(start, start + size, label),
        st.integers(0, 35),
        st.integers(1, 8),
        st.sampled_from(["PER", "LOC"]),
    ),
    max_size=6,
)


@given(SPANS, SPANS)
def test_each_span_of_one_side_is_one_mistake_at_most(right: list[Span], found: list[Span]) -> None:
    only = len(set(right) ^ set(found))
    told = list(mistakes(sorted(set(right)), sorted(set(found))))
    assert (only == 0) == (told == [])
    assert len(told) <= only


@given(SPANS)
def test_marked_texts_hold_the_whole_text(spans: list[Span]) -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(50))
    pieces = marked(text, sorted(set(spans)), set(), "missed")
    plain, skip = "", False
    for piece in pieces:
        skip = piece.text == " [" or (skip and piece.text != "]")
        plain += "" if skip or piece.text == "]" else piece.text
    assert plain == text
    assert sum(bool(piece.mark) for piece in pieces) == len(set(spans))


def test_a_long_text_is_cut() -> None:
    spans = [Span(10, 14, "PER"), Span(LONGEST + 5, LONGEST + 9, "PER")]
    pieces = marked("x" * (LONGEST + 100), spans, set(), "missed")
    assert sum(len(p.text) for p in pieces) == LONGEST + 1
    assert [p.label for p in pieces if p.mark] == ["PER"]


def test_the_document_of_an_answer_is_cut_around_it() -> None:
    text = "x" * 5000 + " the sea " + "y" * 5000
    answer = {"answer": "the sea", "start": 5001, "end": 5008}
    expected = {"answers": [{"text": "sea", "start": 5005}]}
    comparison = comparison_of(answer)
    assert comparison is not None
    question, document, right, model = comparison.show(
        {"text": text, "question": "What?"}, answer, expected
    )
    assert text_of(question) == "What?"
    assert len(text_of(document)) < 1000
    marks = [(p.text, p.mark) for p in document.pieces if p.mark]
    assert marks == [("the ", "found"), ("sea", "right")]
    assert (text_of(right), text_of(model)) == ("sea", "the sea")


def test_differences_of_written_texts() -> None:
    answer, expected = {"text": "the red boat sank"}, {"target": ["the blue boat sank"]}
    comparison = comparison_of(answer)
    assert comparison is not None
    *_, reference, written = comparison.show({"text": "A story."}, answer, expected)
    assert [p.text.strip() for p in reference.pieces if p.mark] == ["blue"]
    assert [p.text.strip() for p in written.pieces if p.mark] == ["red"]
    assert text_of(written).split() == ["the", "red", "boat", "sank"]


def test_what_nothing_compares() -> None:
    assert comparison_of({"perplexity": 3.0}) is None
