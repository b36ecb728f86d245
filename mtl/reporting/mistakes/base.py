"""What a comparison of answers is: it judges one, and shows it beside the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mtl.registry import Registry

Values = Mapping[str, Any]
LONGEST = 3_000
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Judged:
    """One answer."""

    wrong: float
    """From 0, right, to 1; among answers of one task, higher is worse."""
    kinds: list[str] = field(default_factory=list)
    """What is wrong with it, each in a few words; empty where it is right."""


@dataclass(frozen=True)
class Piece:
    """A piece of a text that is shown."""

    text: str
    mark: str = ""
    """How it is marked: ``right``, ``missed``, ``found``, ``part``; empty where it is not."""
    label: str = ""


@dataclass(frozen=True)
class Block:
    """A line of what is shown: a title, and a text of pieces."""

    title: str
    pieces: list[Piece]


class Comparison(Protocol):
    """Compares the answers of one form."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Judge an answer, as a task presents it, by what was expected."""

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return what is shown of it.

        Args:
            given: The row's texts by role.
            answer: As a task presents it.
            expected: What would be right.
        """


COMPARISONS: Registry[Comparison] = Registry("comparison", "mtl.comparisons")
"""Comparisons by the key that tells the form of an answer."""
ORDER = ("entities", "words", "choice", "label", "labels", "value", "answer", "text")
"""Which key counts where an answer has several."""


def comparison_of(answer: Values) -> Comparison | None:
    """Return what compares an answer; None where nothing does."""
    names = [*(n for n in ORDER if n in COMPARISONS), *(n for n in COMPARISONS if n not in ORDER)]
    return next((COMPARISONS.get(name) for name in names if name in answer), None)


def given_blocks(given: Values, *but: str) -> list[Block]:
    """Return the texts of a row, the first one cut where it is long."""
    return [
        Block(role, [Piece(shorten(str(text)))]) for role, text in given.items() if role not in but
    ]


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
