"""Where question and document stand: one after the other, or the question as a branch.

A question of three tokens on a document of five, as BERT's kind of tokenizer marks them::

    joint   [CLS] q q q [SEP] d d d d d [SEP]
    branch  [CLS] d d d d d [SEP] | q q q [SEP]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mtl.errors import ConfigError, DataError, Problem
from mtl.heads.base import Head
from mtl.heads.spans import JointSpanHead, PointerSpanHead
from mtl.registry import Registry
from mtl.trunk.text import TextEncoder, Tokens, newline_tokens, pair_tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Branch, Encoded, IntArray

LAYOUTS: Registry[type[Layout]] = Registry("layout")
Windows = Sequence[tuple[int, int]]

_SIDES = ("a question", "its document")
STEP = 32
"""Positions set aside for a branch are a multiple of this."""


class Layout(ABC):
    """How windows are laid out, and the head that reads them."""

    head: ClassVar[Any]
    """Called with hidden size and dropout; returns the head."""

    @staticmethod
    def fits(trunk: Trunk, task: str) -> None:
        """Refuse a trunk that cannot be laid out so.

        Raises:
            ConfigError: With the trunk's architecture and the task's name.
        """
        del trunk, task

    @staticmethod
    @abstractmethod
    def encode(
        question: Tokens,
        document: Tokens,
        encoder: TextEncoder,
        attention: str,
        positions: int | None = None,
    ) -> tuple[Encoded, Windows]:
        """Return the places to read, each window's null place first, and the windows.

        Args:
            question: Its tokens.
            document: Its tokens.
            encoder: For windows and special tokens.
            attention: How the document is read: ``causal`` or ``bidirectional``.
            positions: How many the trunk has; None where nothing limits them.

        Raises:
            DataError: If the question is too long; a problem at no place yet.
        """

    @classmethod
    def build_head(cls, hidden_size: int, dropout: float) -> Head:
        """Return a fresh head."""
        head: Head = cls.head(hidden_size, dropout)
        return head


@LAYOUTS.register("joint")
class Joint(Layout):
    """The question, then a window of the document, in one part."""

    head = JointSpanHead

    @staticmethod
    def encode(
        question: Tokens,
        document: Tokens,
        encoder: TextEncoder,
        attention: str,
        positions: int | None = None,
    ) -> tuple[Encoded, Windows]:
        """Read the document's tokens; the null place is the first token, or the last.

        Under causal attention only the last token has seen both question and document; where a
        tokenizer ends texts with nothing, a newline is put there.
        """
        del positions  # A window is never longer than they are many.
        prefix, middle, suffix = pair_tokens(encoder.tokenizer)
        first = attention != "causal" and len(prefix) > 0
        if not first and not len(suffix):
            suffix = newline_tokens(encoder.tokenizer)
        before = np.concatenate([prefix, question.ids, middle])
        room = encoder.max_length - len(before) - len(suffix)
        check_room(question, room, encoder, *_SIDES)
        windows = encoder.windows(len(document), room)
        documents = [np.concatenate([before, document.ids[s:e], suffix]) for s, e in windows]
        nulls = [0 if first else len(d) - 1 for d in documents]
        part, offset = _places([(w, null) for w, null in enumerate(nulls)], windows, len(before))
        return Encoded(documents, part, offset, {}, 0.0), windows


@LAYOUTS.register("branch")
class InBranch(Layout):
    """Windows of the document as other tasks read them, the question as a branch on each."""

    head = PointerSpanHead

    @staticmethod
    def fits(trunk: Trunk, task: str) -> None:
        """Refuse encoder-decoders, and encoders whose rows cannot hold branches."""
        key = f"tasks.{task}.options.layout"
        if trunk.architecture == "encoder-decoder":
            raise ConfigError(
                f"Expected `{key}` to be joint, because task '{task}' reads documents from the "
                f"encoder of an encoder-decoder ({trunk.config.model_type}), whose branches stand "
                "in its decoder, but got branch."
            )
        if trunk.architecture == "encoder" and not trunk.capabilities.share_rows:
            raise ConfigError(
                f"Expected `{key}` to be joint, because a {trunk.config.model_type} encoder cannot "
                "keep a branch apart from its document, but got branch."
            )

    @staticmethod
    def encode(
        question: Tokens,
        document: Tokens,
        encoder: TextEncoder,
        attention: str,
        positions: int | None = None,
    ) -> tuple[Encoded, Windows]:
        """Read the question's last token, and the document's tokens.

        Where a full window would leave the question no positions, the windows are narrower.
        """
        ends = len(encoder.suffix) > 0
        between = encoder.suffix[:0] if ends else newline_tokens(encoder.tokenizer)
        ids = np.concatenate([between, question.ids, encoder.suffix]).astype(np.int32)
        room = room_beside(len(document), len(ids), encoder, positions)
        left = min(room, encoder.max_length - len(ids))
        check_room(question, left, encoder, *_SIDES)
        windows = encoder.windows(len(document), room)
        documents = [encoder.document(document, w) for w in windows]
        count = len(windows)
        nulls = [(count + w, len(ids) - 1) for w in range(count)]
        part, offset = _places(nulls, windows, len(encoder.prefix))
        branches = [Branch(w, ids) for w in range(count)]
        return Encoded(documents, part, offset, {}, 0.0, branches), windows


def check_room(beside: Tokens, room: int, encoder: TextEncoder, what: str, rest: str) -> None:
    """Refuse a text that leaves less than an eighth of the window to what it stands beside.

    Args:
        beside: The text.
        room: The tokens that it leaves.
        encoder: For the window's size.
        what: What the text is called.
        rest: What the other one is called.

    Raises:
        DataError: A problem at no place yet; see :func:`mtl.data.rows.at_row`.
    """
    least = max(1, encoder.max_length // 8)
    if room < least:
        size = f"`trunk.max_length`={encoder.max_length}"
        expected = f"{what} that leaves {least} of {size} tokens to {rest}"
        advice = "Shorten it, or raise `trunk.max_length`."
        raise DataError(Problem("", expected, f"this one has {len(beside)}", advice))


def room_beside(document: int, branch: int, encoder: TextEncoder, positions: int | None) -> int:
    """Return the most tokens of a document's windows that leave a branch its positions.

    It is the encoder's own room wherever that will do, so that other tasks read the same windows;
    else it is less by multiples of :data:`STEP`, so that questions of like length still share.
    """
    marks = encoder.max_length - encoder.room
    if positions is None or marks + min(document, encoder.room) + branch <= positions:
        return encoder.room
    return min(encoder.room, positions - marks - -(-branch // STEP) * STEP)


def _places(
    nulls: Sequence[tuple[int, int]], windows: Windows, shift: int
) -> tuple[IntArray, IntArray]:
    """Return (part, offset) of each window's null place and then its tokens.

    Args:
        nulls: Part and offset of each null place.
        windows: The windows, each the part of its number.
        shift: Tokens that stand before a window's own.
    """
    parts, offsets = [], []
    for number, ((part, offset), (start, end)) in enumerate(zip(nulls, windows, strict=True)):
        parts += [np.asarray([part]), np.full(end - start, number)]
        offsets += [np.asarray([offset]), shift + np.arange(end - start)]
    return np.concatenate(parts).astype(np.int32), np.concatenate(offsets).astype(np.int32)
