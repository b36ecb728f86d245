"""Entity chunks in a sequence of B/I/O/E/S labels, with the boundaries that `conlleval` draws.

One sentence and its chunks::

    I-ORG O B-PER I-PER I-LOC   ->   (ORG, 0, 1), (PER, 2, 4), (LOC, 4, 5)

`conlleval` (Tjong Kim Sang, CoNLL-2000 to 2003) accepts every sequence, also those that no scheme
allows: an ``I`` after ``O`` or after another type begins a chunk. For ``B``, ``I`` and ``O`` the
rules here are the script's. The script knows no ``S`` and joins ``E-X B-X`` into one chunk; here
``E`` and ``S`` always end a chunk and ``B`` and ``S`` always begin one, as BIOES means them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mtl.errors import DataError

PREFIXES = frozenset("BIES")


class Chunk(NamedTuple):
    """One entity: its type and its tokens, `end` exclusive."""

    type: str
    start: int
    end: int


class Tag(NamedTuple):
    """A label's two halves: ``B-PER`` is ("B", "PER"), ``O`` is ("O", "")."""

    prefix: str
    type: str


OUTSIDE = Tag("O", "")


def is_chunk_label(label: str) -> bool:
    """Return whether a label is ``O`` or one of B, I, E, S, alone or followed by ``-type``."""
    return label == "O" or label.partition("-")[0] in PREFIXES


def parse_tag(label: str) -> Tag:
    """Return the prefix and the type of a label; the type may hold hyphens itself.

    Raises:
        DataError: If the label is neither ``O`` nor has one of the prefixes B, I, E, S.
    """
    if not is_chunk_label(label):
        raise DataError(
            f"Expected an entity label (O, or B-, I-, E- or S- and a type), but got '{label}'."
        )
    prefix, _, kind = label.partition("-")
    return Tag(prefix, kind)


def parse_tags(labels: Iterable[str]) -> dict[str, Tag]:
    """Return every distinct label's tag, so that a long sequence is parsed once."""
    return {label: parse_tag(label) for label in dict.fromkeys(labels)}


def begins(before: Tag, tag: Tag) -> bool:
    """Return whether a chunk begins at `tag`, which follows `before`."""
    if tag.prefix == "O":
        return False
    if tag.prefix in "BS" or before.prefix in "OES":
        return True
    return before.type != tag.type


def chunks(labels: Sequence[str], tags: dict[str, Tag] | None = None) -> list[Chunk]:
    """Return the chunks of one sentence, in order.

    Args:
        labels: One label a token.
        tags: The labels' tags where they are known already.

    Raises:
        DataError: If a label is no entity label.
    """
    tags = parse_tags(labels) if tags is None else tags
    found: list[Chunk] = []
    before, start = OUTSIDE, 0
    for position, label in enumerate(labels):
        tag = tags[label]
        starts = begins(before, tag)
        if before.prefix != "O" and (starts or tag.prefix == "O"):
            found.append(Chunk(before.type, start, position))
        if starts:
            start = position
        before = tag
    if before.prefix != "O":
        found.append(Chunk(before.type, start, len(labels)))
    return found
