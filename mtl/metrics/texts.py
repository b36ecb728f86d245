"""How written texts are compared with right ones: statistics that add up, and their scores.

The numbers are those of the programs that papers report: ``rouge-score`` for summaries, SQuAD's
evaluator for answers, sacreBLEU for translations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mtl.errors import ConfigError, Problem
from mtl.metrics.segments import (
    AUTO,
    ByName,
    ByScript,
    bleu_name,
    by_character,
    official_reads,
)
from mtl.metrics.squad import score_v1
from mtl.metrics.tables import ratio
from mtl.metrics.tokenizers import named, of_sacrebleu
from mtl.registry import Registry

Floats = npt.NDArray[np.float64]
Texts = Sequence[str]
References = Sequence[Sequence[str]]

SCORINGS: Registry[type[Scoring]] = Registry("--scoring")
"""What ``options.scoring`` and ``mtl score generation --scoring`` name."""


class Scoring(ABC):
    """One way to compare texts with right ones, each on 0 to 1."""

    names: ClassVar[tuple[str, ...]]
    official: ClassVar[dict[str, str]] = {}
    """The official script's names, where they differ."""
    scale: ClassVar[float] = 100.0
    """What the official script calls 1."""
    language: str = AUTO
    """As :func:`mtl.metrics.segments.by_character` takes it."""

    @property
    def size(self) -> int:
        """How many numbers are summed up."""
        return len(self.names)

    @abstractmethod
    def sums(self, texts: Texts, references: References) -> Floats:
        """Return statistics (size,) of texts; those of two parts of a corpus add up.

        Args:
            texts: What was written.
            references: Each text's right texts, at least one.
        """

    def scores(self, sums: Floats, texts: int) -> dict[str, float]:
        """Return the scores of so many texts from their statistics; 0 where there are none."""
        return {name: ratio(float(s), texts) for name, s in zip(self.names, sums, strict=True)}


@SCORINGS.register("rouge")
class RougeScoring(Scoring):
    """Mean ROUGE F1 with stemming; of several right texts, each kind takes the best.

    The official program keeps ASCII letters and digits only. So where most letters of the right
    texts are not Latin, words of any script are compared, and characters where the script has no
    spaces. A named tokenizer finds the words of all texts, which are not stemmed. Sentences are
    split for Lsum at line breaks.
    """

    names = ("rougeL", "rouge1", "rouge2", "rougeLsum")
    scale = 1.0

    @cached_property
    def _scorers(self) -> dict[bool | None, Any]:
        """The official scorer, and those of other scripts by whether they count characters."""
        from rouge_score.rouge_scorer import RougeScorer

        names = list(self.names)
        found: dict[bool | None, Any] = {None: RougeScorer(names, use_stemmer=True)}
        for characters in (True, False):
            found[characters] = RougeScorer(names, tokenizer=ByScript(characters=characters))
        return found

    @cached_property
    def _named(self) -> Any:
        """The scorer of words that a named tokenizer finds; None where none is named."""
        from rouge_score.rouge_scorer import RougeScorer

        tokenizer = named(self.language)
        found = None if tokenizer is None else ByName(tokenizer)
        return found and RougeScorer(list(self.names), tokenizer=found)

    def _scorer(self, right: Sequence[str]) -> Any:
        if self._named is not None:
            return self._named
        if self.language == AUTO and official_reads(right):
            return self._scorers[None]
        characters = by_character(right, self.language)
        return self._scorers[None if official_reads(right) and not characters else characters]

    def sums(self, texts: Texts, references: References) -> Floats:
        """Return each kind's summed F1."""
        total = np.zeros(len(self.names))
        for text, right in zip(texts, references, strict=True):
            best = self._scorer(right).score_multi(right, text)
            total += [best[name].fmeasure for name in self.names]
        return total


@SCORINGS.register("answers")
class AnswerScoring(Scoring):
    """SQuAD 1.1's token F1 and exact match."""

    names = ("f1", "em")
    official: ClassVar[dict[str, str]] = {"em": "exact"}

    def sums(self, texts: Texts, references: References) -> Floats:
        """Return the summed F1 and exact matches."""
        pairs = zip(texts, references, strict=True)
        found = [score_v1(text, right, self.language) for text, right in pairs]
        return np.asarray([sum(s.f1 for s in found), sum(s.exact for s in found)])


@SCORINGS.register("bleu")
class BleuScoring(Scoring):
    """Corpus BLEU (Papineni et al. 2002; Post 2018) and chrF2 (Popović 2015).

    BLEU's words are those of sacreBLEU's ``13a``; where right texts are in a script without spaces,
    those of its ``zh`` or ``char``; or those of a named tokenizer.

    Raises:
        ConfigError: If sacreBLEU is not installed.
    """

    names = ("bleu", "chrf")

    def __init__(self) -> None:
        try:
            from sacrebleu.metrics import BLEU, CHRF
        except ImportError as error:
            raise ConfigError(
                Problem(
                    SCORINGS.key,
                    "to be another than bleu where sacrebleu is not installed",
                    "it is not",
                    "Say pip install 'mtl[translation]'.",
                )
            ) from error
        self._scorers: tuple[Any, Any] = (BLEU(), CHRF())
        self._split = BLEU(tokenize="none", force=True)
        """Of texts whose words have spaces between them."""

    @cached_property
    def _sizes(self) -> list[int]:
        return [len(_statistics(scorer, ".", ["."])) for scorer in self._scorers]

    @property
    def size(self) -> int:
        """The statistics of both."""
        return sum(self._sizes)

    def sums(self, texts: Texts, references: References) -> Floats:
        """Return sacreBLEU's statistics, BLEU's first."""
        total = np.zeros(self.size)
        for text, right in zip(texts, references, strict=True):
            words, characters = self._words(text, right), _statistics(self._scorers[1], text, right)
            total += [*words, *characters]
        return total

    def _words(self, text: str, right: Sequence[str]) -> list[float]:
        """Return BLEU's statistics."""
        name = bleu_name(right, self.language)
        tokenizer = named(self.language) or (name and partial(of_sacrebleu, name))
        if not tokenizer:
            return _statistics(self._scorers[0], text, right)
        spaced = [" ".join(tokenizer(each)) for each in (text, *right)]
        return _statistics(self._split, spaced[0], spaced[1:])

    def scores(self, sums: Floats, texts: int) -> dict[str, float]:
        """Return both scores."""
        if not texts:
            return dict.fromkeys(self.names, 0.0)
        parts = np.split(sums.astype(np.int64), [self._sizes[0]])
        found = zip(self.names, self._scorers, parts, strict=True)
        return {n: s._compute_score_from_stats(p.tolist()).score / 100 for n, s, p in found}


def _statistics(scorer: Any, text: str, references: Sequence[str]) -> list[float]:
    """Return what sacreBLEU sums up over the texts of a corpus."""
    (found,) = scorer._extract_corpus_statistics([text], [[right] for right in references])
    return list(found)
