"""BLEU, chrF and perplexity: against sacreBLEU's own corpus scores, and by hand."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from mtl.errors import ConfigError
from mtl.metrics.shells import PerplexityMetric, TranslationMetric

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


def metric(*parts: tuple[list[str], list[list[str]]]) -> TranslationMetric:
    found = TranslationMetric()
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
    both = TranslationMetric()
    for name in both._defaults:
        setattr(both, name, sum(getattr(rank, name) for rank in ranks))
    assert both.compute() == pytest.approx(wanted, abs=1e-9)


def test_the_right_text_scores_best_and_nothing_scores_zero() -> None:
    right = [text for text in TEXTS if text]
    found = metric((right, [[text] for text in right]))
    assert found.compute() == pytest.approx({"bleu": 1.0, "chrf": 1.0})
    assert [(row.name, row.value) for row in found.table()][-1] == ("texts", len(right))
    assert TranslationMetric().compute() == {"bleu": 0.0, "chrf": 0.0}


def test_without_sacrebleu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ConfigError, match=r"sacrebleu .*pip install 'mtl\[translation\]'"):
        TranslationMetric()


def test_perplexity_by_hand() -> None:
    """A token that has one chance in four costs log 4; two tokens of one in nine, 2 log 9."""
    found = PerplexityMetric()
    found.update(math.log(4), 1)
    found.update(2 * math.log(9), 2)
    assert found.compute() == pytest.approx((4 * 81) ** (1 / 3))
    assert [row.value for row in found.rows()] == [pytest.approx((4 * 81) ** (1 / 3)), 3]


def test_perplexity_is_the_exponential_of_the_mean_cross_entropy() -> None:
    logits, labels = torch.randn(50, 9), torch.randint(9, (50,))
    found = PerplexityMetric()
    for part in (slice(0, 7), slice(7, 50)):
        nll = F.cross_entropy(logits[part], labels[part], reduction="sum")
        found.update(nll.item(), len(labels[part]))
    assert found.compute() == pytest.approx(F.cross_entropy(logits, labels).exp().item(), rel=1e-5)


def test_perplexity_of_nothing_and_beyond_measure() -> None:
    assert math.isnan(PerplexityMetric().compute())
    assert PerplexityMetric().rows() == []
    found = PerplexityMetric()
    found.update(1e6, 1)
    assert math.isfinite(found.compute())
