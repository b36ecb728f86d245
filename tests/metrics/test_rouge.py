import json
import os
import random
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from mtl.metrics.lcs import lcs_length, lcs_positions
from mtl.metrics.porter import stem
from mtl.metrics.rouge import KINDS, rouge, rouge_means, rouge_sums
from tests.properties import max_examples

SUFFIXES = re.findall(
    r"\w+",
    "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness "
    "fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance "
    "er ic able ible ant ement ment ent ion sion ou ism ate iti ous ive ize ed ing ies ied eed s "
    "y e",
)
WORDS = re.findall(
    r"\w+", "the cat cats sat sitting on a mat mats dogs running ran 42 naïve ponies"
)

text = st.lists(st.sampled_from([*WORDS, "\n", ".", "\n\n", "A-b"]), max_size=15).map(" ".join)


@cache
def reference() -> RougeScorer:
    return RougeScorer(list(KINDS), use_stemmer=True)


def compare(prediction: str, references: list[str]) -> None:
    expected = reference().score_multi(references, prediction)
    found = rouge(prediction, references)
    for kind in KINDS:
        assert tuple(found[kind]) == pytest.approx(tuple(expected[kind]), abs=1e-12)


def test_stems_equal_nltk() -> None:
    generator = random.Random(0)
    porter = PorterStemmer()
    words = ["news", "dying", "skies", "by", "tied", "flies", "die", "agreed", "innings", "y"]
    for _ in range(4000):
        root = "".join(generator.choice("abeilyostnz") for _ in range(generator.randint(0, 5)))
        words.append(root + generator.choice(SUFFIXES) + generator.choice(["", "", *SUFFIXES]))
    assert [stem(word) for word in words] == [porter.stem(word) for word in words]


@max_examples(200)
@given(prediction=text, references=st.lists(text, min_size=1, max_size=3))
def test_rouge_equals_rouge_score(prediction: str, references: list[str]) -> None:
    compare(prediction, references)


@max_examples(200)
@given(*[st.lists(st.sampled_from("abc"), max_size=80)] * 2)
def test_both_longest_common_subsequences_agree(a: list[str], b: list[str]) -> None:
    places = lcs_positions(a, b)
    rest = iter(b)
    assert all(a[i] in rest for i in places)
    assert places == sorted(set(places))
    assert lcs_length(a, b) == lcs_length(b, a) == len(places)


def test_empty_texts_score_zero() -> None:
    assert rouge("", ["a word"])["rougeL"] == (0.0, 0.0, 0.0)
    assert rouge("a word", [""])["rougeLsum"] == (0.0, 0.0, 0.0)
    assert rouge_means(rouge_sums([], []), 0) == dict.fromkeys(KINDS, 0.0)


@pytest.mark.parametrize("several", [False, True])
def test_500_rows_of_real_summaries(several: bool) -> None:
    path = Path(os.environ.get("MTL_DATA", "")) / "aeslc" / "dev.jsonl"
    if "MTL_DATA" not in os.environ or not path.is_file():
        pytest.skip("needs $MTL_DATA/aeslc")
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(500), strict=False)]
    for row in rows:
        first = re.split(r"(?<=[.!?])\s+", row["document"])[:2]
        names = ("subject", "ann0", "ann1", "ann2") if several else ("subject",)
        compare("\n".join(first), [row[name] for name in names])
    means = rouge_means(rouge_sums(["a b"], [["a b"]]), 1)
    assert means == dict.fromkeys(KINDS, 1.0)
