"""Words of a text: split, found again, joined."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.word_rule import WordRule
from mtl.data.words import find_words, join_words, split_words
from mtl.tasks._words import given_words
from mtl.tasks.base import document
from mtl.types import IntArray
from tests.properties import max_examples

ALPHABET = "aeZß09 .,'’-:/_é\u0301\u200d👍東\u00a0\n"
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=25)


def cut(text: str, spans: tuple[IntArray, IntArray]) -> list[str]:
    return [text[s:e] for s, e in zip(*spans, strict=True)]


def words(text: str) -> list[str]:
    return cut(text, split_words(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ines left Brackwater.", "Ines|left|Brackwater|."),
        ("Don't call it Tolliver's.", "Don't|call|it|Tolliver|'s|."),
        ("the Joneses’ and Rose’s tea", "the|Joneses|’|and|Rose|’s|tea"),
        ("1,204 hours at 3.5 bar, 12:30", "1,204|hours|at|3.5|bar|,|12:30"),
        ("O'Brien-Smith (U.S.)", "O'Brien-Smith|(|U.S|.|)"),
        ("a  b\tc\nd", "a|b|c|d"),
        ("snake_case", "snake|_|case"),
        ("no\u00a0break", "no|break"),
        ("naïve café", "naïve|café"),
        ("cafe\u0301 Ångstro\u0308m", "cafe\u0301|Ångstro\u0308m"),
        ("हिन्दी में", "हिन्दी|में"),
        ("می‌خواهم", "می‌خواهم"),
        ("東京は。", "東京は|。"),
        ("good 👍!", "good|👍|!"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_words_of_a_text(text: str, wanted: str) -> None:
    assert words(text) == [w for w in wanted.split("|") if w]


@given(TEXTS)
@max_examples(300)
def test_words_hold_every_visible_character_once(text: str) -> None:
    starts, ends = split_words(text)
    assert (starts < ends).all()
    assert (ends[:-1] <= starts[1:]).all()
    inside = "".join(words(text))
    assert inside == "".join(c for c in text if not c.isspace())


@given(st.lists(st.text(st.sampled_from("abé東'👍"), max_size=4), max_size=6))
def test_joined_words_are_at_their_spans(words: list[str]) -> None:
    row = {"tokens": words}
    assert cut(document(row), given_words(row, WordRule())) == words


def first_placement(text: str, given_words: list[str]) -> list[tuple[int, int]]:
    """The leftmost non-overlapping placement, by trying them all."""
    choices = [
        [(i, i + len(w)) for i in range(len(text) - len(w) + 1) if text[i : i + len(w)] == w]
        for w in given_words
    ]
    placements = (
        p
        for p in itertools.product(*choices)
        if all(a[1] <= b[0] for a, b in itertools.pairwise(p))
    )
    return list(min(placements, default=())) if given_words else []


@given(
    st.text(st.sampled_from("ab "), max_size=9),
    st.lists(st.text(st.sampled_from("ab"), min_size=1, max_size=3), max_size=4),
)
@max_examples(200)
def test_words_are_found_where_they_first_fit(text: str, given_words: list[str]) -> None:
    found = find_words(text, given_words)
    wanted = first_placement(text, given_words)
    if given_words and not wanted:
        assert found is None
        return
    assert found is not None
    assert list(zip(*(a.tolist() for a in found), strict=True)) == wanted


def test_the_words_of_a_text_are_found_in_it() -> None:
    text = "The man said the man's name, and the name was his."
    starts, ends = split_words(text)
    found = find_words(text, words(text))
    assert found is not None
    assert found[0].tolist() == starts.tolist()
    assert found[1].tolist() == ends.tolist()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Ines|left|.", "Ines left ."),
        ("王|小|明|离|开|了|。", "王小明离开了。"),
        ("用|iPhone|15|拍|。|ok", "用iPhone 15拍。ok"),
        ("東京|は|広い", "東京は広い"),
        ("ไป|ครับ|ok", "ไปครับok"),
        ("한국어|문장", "한국어 문장"),
        ("हिन्दी|में", "हिन्दी में"),
        ("naïve|👍|café", "naïve 👍 café"),
        ("", ""),
    ],
)
def test_words_joined(words: str, text: str) -> None:
    given_words = [word for word in words.split("|") if word]
    assert join_words(given_words) == text
    assert document({"tokens": given_words}) == text
