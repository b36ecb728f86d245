"""Two texts of one example: joined as the tokenizer joins pairs, or the second as a branch.

A first text of five tokens and a second one of three, as BERT's kind of tokenizer marks them::

    joint   [CLS] a a a a a [SEP] b b b [SEP]
    branch  [CLS] a a a a a [SEP] | b b b [SEP]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mtl.data.rows import Role, Rows, at_row
from mtl.errors import ConfigError, DataError, Place, Problem
from mtl.tasks._span_layouts import InBranch, check_room, room_beside
from mtl.trunk.text import TextEncoder, Tokens, newline_tokens, pair_tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Branch, Encoded, IntArray, Row

SECOND = Role("second", "text", required=False, help="a second text, to be read beside the first")
Pooled = Callable[[int], IntArray]


def has(rows: Sequence[Row], role: Role, task: str) -> bool:
    """Return whether rows have a text that need not be there: all of them, or none.

    Raises:
        DataError: If only some have one.
    """
    lacking = count = 0
    first: Row | None = None
    if isinstance(rows, Rows) and role.name not in rows.roles:
        return False
    for row in rows:
        if not str(row.get(role.name) or "").strip():
            lacking, first = lacking + 1, first or row
        count += 1
    if lacking == count:
        return False
    if first is not None:
        given(first, role, task)
    return True


def given(row: Row, role: Role, task: str) -> str:
    """Return a text that rows have, because those of training did.

    Raises:
        DataError: If this one has none.
    """
    text = str(row.get(role.name) or "")
    if text.strip():
        return text
    what = role.help.partition(",")[0]
    expected = f"{what} (`tasks.{task}.columns.{role.name}`), as other rows of the task have it"
    place = Place(row["_file"], row["_line"])
    raise DataError(Problem(place, expected, "got none", "Mend the row, or leave it out."))


def layout_of(asked: str, architecture: str) -> str:
    """Return ``joint`` or ``branch``: what was asked for, or what suits the trunk."""
    if asked != "auto":
        return asked
    return "branch" if architecture == "decoder" else "joint"


def check_layout(trunk: Trunk, task: str, asked: str, pooling: str, *, beside: bool = True) -> None:
    """Refuse a layout that a trunk cannot have, and a state that would say nothing.

    Args:
        trunk: The trunk.
        task: The task's name.
        asked: Its ``options.layout``.
        pooling: Its ``head.pooling``.
        beside: Whether its texts have others beside them.

    Raises:
        ConfigError: With the trunk's architecture and the task's name.
    """
    if asked == "branch":
        InBranch.fits(trunk, task)
    if beside and layout_of(asked, trunk.architecture) == "branch" and pooling == "first":
        expected = "to be last or mean, because a branch's first token has not seen the rest"
        advice = f"Or set `tasks.{task}.options.layout=joint`."
        raise ConfigError(Problem(f"tasks.{task}.head.pooling", expected, "got first", advice))


def pooled_by(asked: str, attention: str, *, branch: bool = False) -> Pooled:
    """Return which states are averaged: as asked, or what suits how texts are read."""
    if asked == "auto":
        asked = "last" if branch or attention == "causal" else "mean"
    return _POOLED[asked]


_POOLED: dict[str, Pooled] = {
    "first": lambda size: np.zeros(1, dtype=np.int32),
    "last": lambda size: np.full(1, size - 1, dtype=np.int32),
    "mean": lambda size: np.arange(size, dtype=np.int32),
}


def encode_beside(
    row: Row,
    first: Tokens,
    others: Sequence[str],
    encoder: TextEncoder,
    layout: str,
    pooled: Pooled,
    what: str,
) -> Encoded:
    """Read one output for each text beside a first one; windows of a long first text are averaged.

    Args:
        row: The row of the texts.
        first: The first text's tokens, cut into windows if they are many.
        others: Texts, each of which stands beside each window.
        encoder: For windows and special tokens.
        layout: ``joint`` or ``branch``.
        pooled: Returns the offsets that are read, of so many tokens.
        what: What one of the others is called, for messages.

    Raises:
        DataError: If one of the others is too long.
    """
    tokens = encoder.tokenize(others)
    lay_out = _branches if layout == "branch" else _joint
    try:
        return lay_out(first, tokens, encoder, pooled, what)
    except DataError as error:
        raise at_row(row, error) from None


def _joint(
    first: Tokens, others: Sequence[Tokens], encoder: TextEncoder, pooled: Pooled, what: str
) -> Encoded:
    """Read a document for each window and other text, as the tokenizer joins pairs."""
    prefix, middle, suffix = pair_tokens(encoder.tokenizer)
    documents, groups = [], []
    for number, other in enumerate(others):
        after = np.concatenate([middle, other.ids, suffix]).astype(np.int32)
        room = encoder.max_length - len(prefix) - len(after)
        check_room(other, room, encoder, what, "the first")
        windows = encoder.windows(len(first), room)
        documents += [np.concatenate([prefix, first.ids[s:e], after]) for s, e in windows]
        groups += [number] * len(windows)
    return averaged(documents, [], [pooled(len(d)) for d in documents], groups)


def _branches(
    first: Tokens, others: Sequence[Tokens], encoder: TextEncoder, pooled: Pooled, what: str
) -> Encoded:
    """Read the tokens of each other text, which have seen their window of the first."""
    between = encoder.suffix[:0] if len(encoder.suffix) else newline_tokens(encoder.tokenizer)
    ids = [np.concatenate([between, o.ids, encoder.suffix]).astype(np.int32) for o in others]
    longest = max(range(len(ids)), key=lambda number: len(ids[number]))
    size = len(ids[longest])
    room = room_beside(len(first), size, encoder, encoder.positions)
    check_room(others[longest], min(room, encoder.max_length - size), encoder, what, "the first")
    windows = encoder.windows(len(first), room)
    documents = [encoder.document(first, w) for w in windows]
    pairs = [(number, w) for number in range(len(ids)) for w in range(len(windows))]
    branches = [Branch(w, ids[number]) for number, w in pairs]
    reads = [pooled(len(branch.ids)) for branch in branches]
    return averaged(documents, branches, reads, [number for number, _ in pairs])


def averaged(
    documents: list[IntArray],
    branches: list[Branch],
    reads: Sequence[IntArray],
    groups: Sequence[int] | None = None,
) -> Encoded:
    """Return an example whose outputs are averages of states that are read.

    Args:
        documents: Windows.
        branches: Of windows, or none.
        reads: Offsets that are read in each branch; in each window where there is none.
        groups: Which output each of these belongs to; there is one output when None.
    """
    shift = len(documents) if branches else 0
    sizes = [len(r) for r in reads]
    part = np.repeat(np.arange(len(reads), dtype=np.int32) + np.int32(shift), sizes)
    offset = np.concatenate(reads).astype(np.int32)
    group = np.repeat(np.asarray(groups or [0] * len(reads), dtype=np.int32), sizes)
    return Encoded(documents, part, offset, {}, 0.0, branches, group=group)
