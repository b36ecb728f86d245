"""Scripts without spaces are compared by character; all others as the official scripts do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from mtl.metrics.segments import by_character, segments
from mtl.metrics.squad import score_v1
from mtl.metrics.texts import RougeScoring
from tests.properties import max_examples

LATIN = st.lists(
    st.sampled_from(["The", "rivers", "ran", "café", "naïve,", "3.5", "über", "—", "it's", "\n"])
)


@pytest.mark.parametrize(
    ("found", "right", "exact", "f1"),
    [
        ("在周五晚", "周五", 0, 2 * (2 / 4) / (2 / 4 + 1)),  # two of four characters, both of two
        ("周五", "周五。", 1, 1),
        ("五周", "周五", 0, 1),
        ("iPhone 手机", "iPhone手机", 1, 1),
        ("金よう日", "金曜日", 0, 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)),
        ("วันศุกร์", "วันศุกร์", 1, 1),
        ("Пятница", "в пятницу", 0, 0),  # It has spaces: words, as the official script.
        ("the cat", "cat", 1, 1),
    ],
)
def test_answers_by_hand(found: str, right: str, exact: float, f1: float) -> None:
    assert score_v1(found, [right]) == pytest.approx((exact, f1))


def test_a_language_may_be_named() -> None:
    assert score_v1("在周五", ["周五"], "en") == (0, 0)
    assert score_v1("Apollo 周五", ["Apollo"], "zh").f1 == pytest.approx(0.5)
    assert by_character(["x"], "ja")
    assert not by_character(["周五"], "de")


def test_a_mark_stays_with_its_letter() -> None:
    assert segments("naïve (café), 周五!") == ["naïve", "café", "周", "五"]


def rouge(text: str, right: list[str], language: str = "auto") -> dict[str, float]:
    scoring = RougeScoring()
    scoring.language = language
    return scoring.scores(scoring.sums([text], [right]), 1)


@given(LATIN, LATIN)
@max_examples(60)
def test_rouge_of_latin_texts_is_the_official_one(found: list[str], right: list[str]) -> None:
    names = ["rougeL", "rouge1", "rouge2", "rougeLsum"]
    text, gold = " ".join(found), " ".join(right)
    official: Any = RougeScorer(names, use_stemmer=True).score(gold, text)
    assert rouge(text, [gold]) == {name: official[name].fmeasure for name in names}


@pytest.mark.parametrize(
    "text",
    [
        "河水退了。",
        "川の水がひいた",
        "แม่น้ำลด",
        "Река обмелела",
        "انخفض النهر",
        "नदी का पानी उतर गया",
    ],
)
def test_rouge_of_equal_texts_is_1_in_any_script(text: str) -> None:
    assert set(rouge(text, [text]).values()) == {1.0}


def test_rouge_by_hand() -> None:
    """河水退了 and 河水涨了 share three of four characters, in order, and one of three pairs."""
    found = rouge("河水退了", ["河水涨了"])
    assert found["rouge1"] == found["rougeL"] == 0.75
    assert found["rouge2"] == pytest.approx(1 / 3)
    assert rouge("Река очень обмелела", ["Река обмелела"])["rouge1"] == pytest.approx(0.8)
    assert rouge("河水退了", ["河水涨了"], "en")["rouge1"] == 0
