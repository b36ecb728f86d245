"""What counts as a word where a script has no spaces between words: each character.

Texts of spaced scripts are left to the official scripts. Where right texts are Chinese, Japanese,
Thai, Lao, Khmer or Burmese, a character of these scripts is a segment of its own and everything
else is split at white space, as MLQA's evaluator has it ("mixed segmentation", Lewis et al. 2020).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from mtl.metrics.tokenizers import AUTO, Tokenizer, named

BY_CHARACTER = ("zh", "yue", "ja", "th", "lo", "km", "my")
"""Languages, by their codes, whose scripts have no spaces between words."""
HAN = ("zh", "yue")
_UNSPACED = (
    r"\u0e00-\u0eff"  # Thai and Lao
    r"\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    r"\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Kana
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_SEGMENT = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_NO_HAN = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]"
)
_FIRST = re.compile(rf"[{_UNSPACED}]")


def by_character(right: Sequence[str], language: str = AUTO) -> bool:
    """Whether texts are compared by character.

    Args:
        right: The right texts.
        language: A code, such as ``zh``; ``auto`` looks at the right texts; a tokenizer's name.
    """
    if language != AUTO:
        return language in BY_CHARACTER
    return any(_FIRST.search(text) for text in right)


def splitter(right: Sequence[str], language: str = AUTO) -> Tokenizer:
    """Return what splits normalised answers: a named tokenizer, characters, or at white space."""
    return named(language) or (segments if by_character(right, language) else str.split)


def bleu_name(right: Sequence[str], language: str = AUTO) -> str | None:
    """Return the tokenizer of sacreBLEU for texts that are compared by character, else None.

    ``zh`` for Chinese, which papers report, and ``char`` for other scripts without spaces.
    """
    if not by_character(right, language):
        return None
    if language != AUTO:
        return "zh" if language in HAN else "char"
    return "char" if any(_NO_HAN.search(text) for text in right) else "zh"


def segments(text: str) -> list[str]:
    """Return characters of scripts without spaces, and words of others; no punctuation."""
    bare = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    return _SEGMENT.findall(bare)


def official_reads(right: Sequence[str]) -> bool:
    """Whether most letters of the right texts are Latin, as ROUGE's own program expects them."""
    letters = [c for text in right for c in text if c.isalpha()]
    latin = sum(c.isascii() or unicodedata.name(c, "").startswith("LATIN") for c in letters)
    return 2 * latin >= len(letters)


class ByScript:
    """A tokenizer for `rouge-score`: words of letters, marks and digits of any script.

    Args:
        characters: Whether those of scripts without spaces stand alone.
    """

    def __init__(self, *, characters: bool) -> None:
        self.characters = characters

    def tokenize(self, text: str) -> list[str]:
        """Return lower-case words, or characters."""
        words = list(_words(text.lower()))
        return [s for word in words for s in segments(word)] if self.characters else words


class ByName:
    """A named tokenizer for `rouge-score`, on lower-case texts.

    Args:
        tokenizer: A text to its words.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def tokenize(self, text: str) -> list[str]:
        """Return lower-case words."""
        return list(self._tokenizer(text.lower()))


def _words(text: str) -> Iterator[str]:
    for is_word, run in groupby(text, lambda c: unicodedata.category(c)[0] in "LMN"):
        if is_word:
            yield "".join(run)
