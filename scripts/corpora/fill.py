"""Sentences from patterns, with the places of what was filled in.

A pattern is ``play {artist:ARTIST} at {time:TIME}``: a list of fillers and the label that the
filled words have; without a label they have none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIELD = re.compile(r"\{(\w+)(?::(\w+))?\}")
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Span:
    """A labelled piece of a text, in characters."""

    start: int
    end: int
    label: str


def fill(
    pattern: str, lists: Mapping[str, Sequence[str]], draw: random.Random
) -> tuple[str, list[Span]]:
    """Return a text and its labelled spans; a list that a pattern names twice gives two entries."""
    text, at = "", 0
    spans: list[Span] = []
    used: dict[str, set[str]] = {}
    for field in _FIELD.finditer(pattern):
        text += pattern[at : field.start()]
        taken = used.setdefault(field[1], set())
        chosen = draw.choice([one for one in lists[field[1]] if one not in taken])
        taken.add(chosen)
        if field[2]:
            spans.append(Span(len(text), len(text) + len(chosen), field[2]))
        text += chosen
        at = field.end()
    text += pattern[at:]
    first = text[:1].upper()
    return first + text[1:], spans


def tagged(
    text: str, spans: Sequence[Span], *, characters: bool = False
) -> tuple[list[str], list[str]]:
    """Return a text's words, or its characters, with a BIO tag each."""
    found = re.finditer(r"\S", text) if characters else _WORD.finditer(text)
    words, tags = [], []
    for word in found:
        words.append(word[0])
        span = next((s for s in spans if s.start <= word.start() < s.end), None)
        lead = "B" if span and span.start == word.start() else "I"
        tags.append(f"{lead}-{span.label}" if span else "O")
    return words, tags


def split_lists(
    lists: Mapping[str, Sequence[str]], kept: Sequence[str] = ()
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return fillers for training, and others for validation and test: each third is set apart.

    Args:
        lists: By name.
        kept: Names of lists that all splits share.
    """
    train = {n: [f for i, f in enumerate(each) if n in kept or i % 3] for n, each in lists.items()}
    other = {
        n: [f for i, f in enumerate(each) if n in kept or not i % 3] for n, each in lists.items()
    }
    return train, other
