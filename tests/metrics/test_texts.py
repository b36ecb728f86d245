"""Scores of texts: against sacreBLEU's corpus scores, a slow ROUGE, and by hand."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from nltk.stem.porter import PorterStemmer
from torch.nn import functional as F

from mtl.errors import ConfigError
from mtl.metrics.scores import PerplexityScore, TextScores
from mtl.metrics.texts import BleuScoring, RougeScoring

TEXTS = [
    "The cat sat on the mat .",
    "Nobody asked why it rained, and nobody was told.",
    "",
    "On Thursday the council votes; two members won't attend the vote.",
    "It's 3.5 bar (1,204 hours), isn't it?",
    "Ein völlig anderer Satz ohne jede Ähnlichkeit",
]
ONE = [
    ["The cat is sitting on the mat ."],
    ["Nobody asked why it rained, and nobody told us."],
    ["There was a text here."],
    ["On Thursday, the council will vote; two members won't attend."],
    ["It is 3.5 bar (1,204 hours), is it not?"],
    ["Tea and bread were waiting on the table."],
]
THREE = [[*right, right[0].lower(), "A cat , on a mat , for " + right[0]] for right in ONE]
UNEQUAL = [right[: 1 + number % 3] for number, right in enumerate(THREE)]


def official(texts: list[str], references: list[list[str]]) -> dict[str, float]:
    """Return sacreBLEU's scores; references that a text does not have are None there."""
    from sacrebleu.metrics import BLEU, CHRF

    most = max(map(len, references))
    streams: Any = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    return {
        "bleu": BLEU().corpus_score(texts, streams).score / 100,
        "chrf": CHRF().corpus_score(texts, streams).score / 100,
    }


def metric(*parts: tuple[list[str], list[list[str]]]) -> TextScores:
    found = TextScores(BleuScoring())
    for texts, references in parts:
        found.update(texts, references)
    return found


@pytest.mark.parametrize("references", [ONE, THREE, UNEQUAL], ids=["one", "three", "unequal"])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_equals_sacrebleu(references: list[list[str]], count: int) -> None:
    texts, right = TEXTS[:count], references[:count]
    wanted = official(texts, right)
    assert metric((texts, right)).compute() == pytest.approx(wanted, abs=1e-9)
    assert 0 < wanted["bleu"] < 1


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
def test_states_add_up_over_ranks(cut: int) -> None:
    wanted = official(TEXTS, UNEQUAL)
    parts = [(TEXTS[:cut], UNEQUAL[:cut]), (TEXTS[cut:], UNEQUAL[cut:])]
    assert metric(*parts).compute() == pytest.approx(wanted, abs=1e-9)
    ranks = [metric(part) for part in parts]
    both = TextScores(BleuScoring())
    for name in both._defaults:
        setattr(both, name, sum(getattr(rank, name) for rank in ranks))
    assert both.compute() == pytest.approx(wanted, abs=1e-9)


def test_the_right_text_scores_best_and_nothing_scores_zero() -> None:
    right = [text for text in TEXTS if text]
    found = metric((right, [[text] for text in right]))
    assert found.compute() == pytest.approx({"bleu": 1.0, "chrf": 1.0})
    assert [(row.name, row.value) for row in found.table()][-1] == ("texts", len(right))
    assert TextScores(BleuScoring()).compute() == {"bleu": 0.0, "chrf": 0.0}


def test_without_sacrebleu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ConfigError, match=r"sacrebleu .*pip install 'mtl\[translation\]'"):
        BleuScoring()


def test_perplexity_by_hand() -> None:
    """A token that has one chance in four costs log 4; two tokens of one in nine, 2 log 9."""
    found = PerplexityScore()
    found.update(math.log(4), 1)
    found.update(2 * math.log(9), 2)
    assert found.compute() == {"perplexity": pytest.approx((4 * 81) ** (1 / 3))}
    assert [row.value for row in found.rows()] == [pytest.approx((4 * 81) ** (1 / 3)), 3]


def test_perplexity_is_the_exponential_of_the_mean_cross_entropy() -> None:
    logits, labels = torch.randn(50, 9), torch.randint(9, (50,))
    found = PerplexityScore()
    for part in (slice(0, 7), slice(7, 50)):
        nll = F.cross_entropy(logits[part], labels[part], reduction="sum")
        found.update(nll.item(), len(labels[part]))
    wanted = F.cross_entropy(logits, labels).exp().item()
    assert found.compute()["perplexity"] == pytest.approx(wanted, rel=1e-5)


def test_perplexity_of_nothing_and_beyond_measure() -> None:
    assert PerplexityScore().compute() == {}
    assert PerplexityScore().rows() == []
    found = PerplexityScore()
    found.update(1e6, 1)
    assert math.isfinite(found.compute()["perplexity"])


def rouge(text: str, *references: str) -> dict[str, float]:
    scoring = RougeScoring()
    return scoring.scores(scoring.sums([text], [list(references)]), 1)


def test_rouge_by_hand() -> None:
    """All three words of four; both pairs of three; the order of all three is kept."""
    found = rouge("the cats sat", "the cat sat down")
    wanted = {"rouge1": 6 / 7, "rouge2": 4 / 5, "rougeL": 6 / 7, "rougeLsum": 6 / 7}
    assert found == pytest.approx(wanted)
    assert rouge("sat the cats", "the cat sat down")["rougeL"] == pytest.approx(4 / 7)
    # Line by line, the second line's words are found in the first reference line as well.
    assert rouge("a b\nb c", "a b c")["rougeLsum"] == pytest.approx(6 / 7)


def test_rouge_takes_the_best_reference_of_each_kind() -> None:
    found = rouge("the cat sat", "a dog", "the cat sat", "cat the sat")
    assert found == dict.fromkeys(RougeScoring.names, 1.0)


def test_rouge_of_nothing_is_zero() -> None:
    nothing = dict.fromkeys(RougeScoring.names, 0.0)
    assert rouge("", "a word") == rouge("a word", "") == nothing
    assert TextScores(RougeScoring()).compute() == nothing


def slow_rouge(text: str, reference: str) -> dict[str, float]:
    """Return ROUGE by the definitions of Lin (2004), with every table written out."""
    stem = PorterStemmer().stem
    here, there = (
        [stem(t) if len(t) > 3 else t for t in re.findall(r"[a-z0-9]+", side.lower())]
        for side in (text, reference)
    )

    def f1(hits: int, a: int, b: int) -> float:
        return 2 * hits / (a + b) if hits else 0.0

    pairs = [Counter(pairwise(side)) for side in (here, there)]
    table = [[0] * (len(there) + 1) for _ in range(len(here) + 1)]
    for i, a in enumerate(here):
        for j, b in enumerate(there):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else longer
    return {
        "rouge1": f1((Counter(here) & Counter(there)).total(), len(here), len(there)),
        "rouge2": f1((pairs[0] & pairs[1]).total(), pairs[0].total(), pairs[1].total()),
        "rougeL": f1(table[-1][-1], len(here), len(there)),
    }


def test_rouge_of_real_summaries() -> None:
    path = Path(os.environ.get("MTL_DATA", "")) / "aeslc" / "dev.jsonl"
    if "MTL_DATA" not in os.environ or not path.is_file():
        pytest.skip("needs $MTL_DATA/aeslc")
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(200), strict=False)]
    for row in rows:
        first = " ".join(re.split(r"(?<=[.!?])\s+", row["document"])[:2])
        found = rouge(first, row["subject"])
        wanted = slow_rouge(first, row["subject"])
        assert {kind: found[kind] for kind in wanted} == pytest.approx(wanted, abs=1e-12)
