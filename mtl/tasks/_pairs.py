"""Two texts of one example: joined as the tokenizer joins pairs, or the second as a branch.

A first text of five tokens and a second one of three, as BERT's kind of tokenizer marks them::

    joint   [CLS] a a a a a [SEP] b b b [SEP]
    branch  [CLS] a a a a a [SEP] | b b b [SEP]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mtl.data.rows import Role, Rows, where
from mtl.errors import DataError
from mtl.tasks._span_layouts import room_beside
from mtl.trunk.text import TextEncoder, Tokens, newline_tokens, pair_tokens
from mtl.types import Branch, Encoded, IntArray, Row

SECOND = Role("second", "text", required=False, help="a second text, to be read beside the first")
Pooled = Callable[[int], IntArray]


def has_second(rows: Sequence[Row], task: str) -> bool:
    """Return whether rows have a second text: all of them, or none.

    Raises:
        DataError: If only some have one.
    """
    lacking = count = 0
    first: Row | None = None
    if isinstance(rows, Rows) and SECOND.name not in rows.roles:
        return False
    for row in rows:
        if not str(row.get("second") or "").strip():
            lacking, first = lacking + 1, first or row
        count += 1
    if lacking == count:
        return False
    if first is not None:
        raise _missing(first, task)
    return True


def second_of(row: Row, task: str) -> str:
    """Return a row's second text.

    Raises:
        DataError: If it has none.
    """
    text = str(row.get("second") or "")
    if not text.strip():
        raise _missing(row, task)
    return text


def _missing(row: Row, task: str) -> DataError:
    return DataError(
        f"{where(row)}: Expected a second text (`tasks.{task}.columns.second`), as other rows of "
        "the task have one, but got none. Mend the row, or leave it out."
    )


def layout_of(asked: str, architecture: str) -> str:
    """Return ``joint`` or ``branch``: what was asked for, or what suits the trunk."""
    if asked != "auto":
        return asked
    return "branch" if architecture == "decoder" else "joint"


def encode_pair(
    first: Tokens, second: Tokens, encoder: TextEncoder, layout: str, pooled: Pooled
) -> Encoded:
    """Read the pooled states of a pair; windows of a long first text are averaged.

    Args:
        first: The first text's tokens, cut into windows if they are many.
        second: The second text's tokens, which stand beside each window.
        encoder: For windows and special tokens.
        layout: ``joint`` or ``branch``.
        pooled: Returns the offsets that are read, of so many tokens.

    Raises:
        DataError: If the second text is too long; a sentence without the row's place.
    """
    if layout == "branch":
        return _branch(first, second, encoder, pooled)
    prefix, middle, suffix = pair_tokens(encoder.tokenizer)
    after = np.concatenate([middle, second.ids, suffix]).astype(np.int32)
    room = encoder.max_length - len(prefix) - len(after)
    _check_room(second, room, encoder)
    windows = encoder.windows(len(first), room)
    documents = [np.concatenate([prefix, first.ids[s:e], after]) for s, e in windows]
    return averaged(documents, [], [pooled(len(d)) for d in documents])


def _branch(first: Tokens, second: Tokens, encoder: TextEncoder, pooled: Pooled) -> Encoded:
    """Read the second text's tokens, each of which has seen its window of the first."""
    between = encoder.suffix[:0] if len(encoder.suffix) else newline_tokens(encoder.tokenizer)
    ids = np.concatenate([between, second.ids, encoder.suffix]).astype(np.int32)
    room = room_beside(len(first), len(ids), encoder, encoder.positions)
    _check_room(second, min(room, encoder.max_length - len(ids)), encoder)
    windows = encoder.windows(len(first), room)
    documents = [encoder.document(first, w) for w in windows]
    branches = [Branch(w, ids) for w in range(len(windows))]
    return averaged(documents, branches, [pooled(len(ids))] * len(windows))


def averaged(
    documents: list[IntArray], branches: list[Branch], reads: Sequence[IntArray]
) -> Encoded:
    """Return an example with one output, the average of all states that are read.

    Args:
        documents: Windows.
        branches: One for each window, or none.
        reads: Offsets that are read in each branch; in each window where there is none.
    """
    shift = len(documents) if branches else 0
    numbers = np.arange(len(reads), dtype=np.int32) + np.int32(shift)
    part = np.repeat(numbers, [len(r) for r in reads])
    offset = np.concatenate(reads).astype(np.int32)
    group = np.zeros(len(part), dtype=np.int32)
    return Encoded(documents, part, offset, {}, 0.0, branches, group=group)


def _check_room(second: Tokens, room: int, encoder: TextEncoder) -> None:
    least = max(1, encoder.max_length // 8)
    if room < least:
        raise DataError(
            f"Expected a second text that leaves {least} of `trunk.max_length`="
            f"{encoder.max_length} tokens to the first, but this one has {len(second)}; shorten "
            "it, or raise `trunk.max_length`."
        )
