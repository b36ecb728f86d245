"""Named tokenizers: sacreBLEU's numbers are sacreBLEU's own, and others are found by name."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from mtl.errors import ConfigError
from mtl.metrics.squad import score_v1
from mtl.metrics.texts import BleuScoring, RougeScoring, Scoring
from mtl.metrics.tokenizers import TOKENIZERS, check_installed, check_language

CHINESE = ["河水昨晚退了，桥又开了。", "我们在村里等了三天。"]
WRITTEN = ["昨晚河水退了，桥开了。", "我们在村里等了两天。"]
ENGLISH = ["The river fell last night; the bridge, in Aach, is open again."]


def score(scoring: Scoring, texts: list[str], right: list[str], language: str) -> dict[str, float]:
    scoring.language = language
    return scoring.scores(scoring.sums(texts, [[each] for each in right]), len(texts))


@pytest.mark.parametrize(
    ("language", "tokenize", "texts", "right"),
    [
        ("auto", "zh", WRITTEN, CHINESE),
        ("zh", "zh", WRITTEN, CHINESE),
        ("ja", "char", ["東京に行きました。"], ["昨日東京に行きました。"]),
        ("auto", "char", ["東京に行きました。"], ["昨日東京に行きました。"]),
        ("auto", "13a", ["The river fell; the bridge in Aach is open again."], ENGLISH),
        ("en", "13a", WRITTEN, CHINESE),
        ("intl", "intl", ["The river fell; the bridge in Aach is open again."], ENGLISH),
        ("char", "char", ["The river fell."], ENGLISH),
    ],
)
def test_bleu_is_sacrebleus(
    language: str, tokenize: str, texts: list[str], right: list[str]
) -> None:
    wanted = BLEU(tokenize=tokenize).corpus_score(texts, [right]).score / 100
    assert score(BleuScoring(), texts, right, language)["bleu"] == pytest.approx(wanted)
    assert wanted > 0.04 or language == "en"


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> str:
    """A tokenizer of another package: two letters are a word."""
    monkeypatch.setitem(
        TOKENIZERS._entries, "pairs", lambda text: [text[i : i + 2] for i in range(0, len(text), 2)]
    )
    return "pairs"


def test_answers_and_rouge_take_the_words_of_a_named_tokenizer(pairs: str) -> None:
    # ab cd ef against ab cd xy: two of three.
    assert score_v1("abcdef", ["ABCDXY"], pairs) == pytest.approx((0, 2 / 3))
    assert score_v1("abcdef", ["abcdxy"], "en") == (0, 0)
    found = score(RougeScoring(), ["abcdef"], ["ABCDXY"], pairs)
    assert found["rouge1"] == pytest.approx(2 / 3)
    assert found["rouge2"] == pytest.approx(1 / 2)
    # Of spaced texts, the words that a tokenizer leaves are those of the official program.
    plain = RougeScorer(["rougeL"]).score("the dam is dry", "a dam was dry")["rougeL"].fmeasure
    assert score(RougeScoring(), ["a dam was dry"], ["the dam is dry"], "13a")[
        "rougeL"
    ] == pytest.approx(plain)


def test_what_is_no_name_is_told(pairs: str) -> None:
    for fine in ("auto", "zh", "yue", "intl", pairs):
        check_language(fine, "x")
    with pytest.raises(ConfigError) as caught:
        check_language("ja-mecap", "tasks.a.options.language")
    assert str(caught.value) == (
        "Expected `tasks.a.options.language` to be auto, a language's code such as zh or en, or a "
        "tokenizer of {13a, char, intl, ja-mecab, ko-mecab, pairs}, but got 'ja-mecap'. Did you "
        "mean 'ja-mecab'?"
    )


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr("mtl.metrics.tokenizers._load", lacking)
    with pytest.raises(ConfigError, match=r"'ja-mecab' lacks a package. Say pip install 'sacreb"):
        check_installed("ja-mecab", "--language")
    with pytest.raises(ConfigError, match=r"Say pip install 'mtl\[translation\]'"):
        check_installed("13a", "--language")
