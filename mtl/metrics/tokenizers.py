"""Named tokenizers for scores of texts, in place of words at white space.

sacreBLEU's that need no download; other packages bring theirs by an entry point of the group
``mtl.tokenizers``, which names a function from a text to its words, such as ``jieba:lcut``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial

from mtl.errors import ConfigError, Problem, did_you_mean
from mtl.registry import Registry

AUTO = "auto"
Tokenizer = Callable[[str], Sequence[str]]

TOKENIZERS: Registry[Tokenizer] = Registry("options.language", "mtl.tokenizers")
"""Name to a function that returns a text's words."""
_EXTRAS = {"ja-mecab": "sacrebleu[ja]", "ko-mecab": "sacrebleu[ko]"}
"""Of sacreBLEU's tokenizers: what is to be installed where it is more than our own extra."""


@cache
def _load(name: str) -> Callable[[str], str]:
    from sacrebleu.metrics import BLEU

    tokenizer: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    return tokenizer


def of_sacrebleu(name: str, text: str) -> list[str]:
    """Return the words that one of sacreBLEU's tokenizers (Post 2018) finds in a text."""
    return _load(name)(text).split()


OURS = ("13a", "intl", "char", *_EXTRAS)
for _name in OURS:
    TOKENIZERS.register(_name)(partial(of_sacrebleu, _name))


def named(language: str) -> Tokenizer | None:
    """Return the tokenizer that a language option names; None of ``auto`` and of a code."""
    return TOKENIZERS.get(language) if language != AUTO and language in TOKENIZERS else None


def check_language(language: str, where: str) -> None:
    """Refuse what is neither ``auto``, nor a language's code, nor a tokenizer.

    Raises:
        ConfigError: Then, with the key or option that holds it.
    """
    if re.fullmatch("auto|[a-z]{2,3}", language) or language in TOKENIZERS:
        return
    names = ", ".join(TOKENIZERS)
    expected = f"to be auto, a language's code such as zh or en, or a tokenizer of {{{names}}}"
    advice = did_you_mean(language, TOKENIZERS).strip()
    raise ConfigError(Problem(where, expected, f"got '{language}'", advice))


def check_installed(language: str, where: str) -> None:
    """Refuse a tokenizer that lacks what it needs, before a text is scored.

    Raises:
        ConfigError: Then, with what to install.
    """
    tokenizer = named(language)
    try:
        if tokenizer is not None:
            tokenizer("A text.")
    except (ImportError, RuntimeError) as error:
        if language not in OURS:
            raise
        extra = _EXTRAS.get(language, "mtl[translation]")
        raise ConfigError(
            Problem(
                where,
                "to be a tokenizer that is installed",
                f"'{language}' lacks a package",
                f"Say pip install '{extra}'.",
            )
        ) from error
