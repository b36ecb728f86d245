"""From text to token ids with character offsets, special tokens, and windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from mtl.errors import ConfigError, Problem
from mtl.trunk.pieces import SIZE, pieces
from mtl.trunk.windows import Windows, nearest
from mtl.types import IntArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(slots=True)
class Tokens:
    """A text's tokens, without special ones: ids and character spans, each of shape (n,)."""

    ids: IntArray
    starts: IntArray
    ends: IntArray

    def __len__(self) -> int:
        return len(self.ids)

    def moved(self, by: int) -> Tokens:
        """Return the same tokens so many characters further on."""
        return Tokens(self.ids, self.starts + np.int32(by), self.ends + np.int32(by))

    def last_of(self, starts: IntArray, ends: IntArray) -> IntArray:
        """Return the last token of each character span [start, end), -1 where there is none.

        Args:
            starts: (W,) first characters of the words, ascending.
            ends: (W,) one past their last characters.
        """
        real = np.flatnonzero(self.ends > self.starts)
        if not len(real):
            return np.full(len(starts), -1, dtype=np.int32)
        found = np.searchsorted(self.starts[real], ends, side="left") - 1
        index = real[np.clip(found, 0, None)]
        inside = (found >= 0) & (self.ends[index] > starts)
        return np.where(inside, index, -1).astype(np.int32)

    def first_of(self, starts: IntArray, ends: IntArray) -> IntArray:
        """Return the first token of each character span [start, end), -1 where there is none."""
        real = np.flatnonzero(self.ends > self.starts)
        if not len(real):
            return np.full(len(starts), -1, dtype=np.int32)
        found = np.searchsorted(self.ends[real], starts, side="right")
        index = real[np.clip(found, None, len(real) - 1)]
        inside = (found < len(real)) & (self.starts[index] < ends)
        return np.where(inside, index, -1).astype(np.int32)


def joined(parts: Iterable[Tokens]) -> Tokens:
    """Return the tokens of parts of a text, one after another."""
    ids, starts, ends = zip(*((p.ids, p.starts, p.ends) for p in parts), strict=True)
    return Tokens(np.concatenate(ids), np.concatenate(starts), np.concatenate(ends))


REMEMBERED = 1_000_000
"""Tokens of the latest texts that are kept at hand: some 30 MB with the texts."""


class TextEncoder:
    """Tokenizer, special tokens and window size of one trunk.

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        max_length: Most tokens of one document window, special tokens included.
        stride: Tokens that neighbouring windows share.
        prefix_space: Show byte-level tokenizers a space before the text, so that its first word
            gets the token it has in the middle of a sentence.
        architecture: What the trunk is: ``decoder``, ``encoder`` or ``encoder-decoder``.
        start: The token that every branch of an encoder-decoder begins with.
        positions: Most tokens of a document and a branch together; no limit when None.
        embeddings: How many tokens the model has embeddings of; of all when None.

    Raises:
        ConfigError: If `max_length` leaves no room for text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        stride: int = 64,
        *,
        prefix_space: bool = False,
        architecture: str = "decoder",
        start: int | None = None,
        positions: int | None = None,
        embeddings: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.architecture = architecture
        self.start = start
        self.positions = positions
        self.embeddings = embeddings if (embeddings or 0) < len(tokenizer) else None
        self.max_length = max_length
        self.prefix_space = prefix_space
        self.prefix, self.suffix = special_tokens(tokenizer)
        self.room = max_length - len(self.prefix) - len(self.suffix)
        if self.room < 1:
            least = max_length - self.room + 1
            raise ConfigError(
                f"Expected `trunk.max_length` to be at least {least}, room for one token between "
                f"the special ones, but got {max_length}."
            )
        self.stride = min(stride, self.room // 2)
        self._known: dict[str, Tokens] = {}
        self._tokens = 0
        """How many tokens are kept at hand."""

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text; character spans refer to the text as given.

        The latest texts are remembered, so that one that several tasks or questions read is
        tokenised once.
        """
        known = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, self._tokenize(new), strict=True))
        if self._tokens > REMEMBERED:
            self.forget()
        self._tokens += sum(len(known[text]) for text in known if text not in self._known)
        self._known.update(known)
        return [known[text] for text in texts]

    def forget(self) -> None:
        """Keep no text's tokens at hand any longer."""
        self._known.clear()
        self._tokens = 0

    def settings(self) -> dict[str, object]:
        """Return all that a text's ids and windows follow from, as plain values."""
        return {
            "tokenizer": self.tokenizer.backend_tokenizer.to_str(),
            "class": type(self.tokenizer).__qualname__,
            "special": repr(self.tokenizer.special_tokens_map),
            "prefix": self.prefix.tolist(),
            "suffix": self.suffix.tolist(),
            "architecture": self.architecture,
            "start": self.start,
            "positions": self.positions,
            "max_length": self.max_length,
            "stride": self.stride,
            "prefix_space": self.prefix_space,
        }

    def _tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts together, but long ones alone and piece by piece."""
        short = [text for text in texts if len(text) <= 2 * SIZE]
        found = iter(self._together(short))
        return [next(found) if len(t) <= 2 * SIZE else self._in_pieces(t) for t in texts]

    def _in_pieces(self, text: str) -> Tokens:
        cuts = self.cuts(text)
        return joined(self.between(text, first, end) for first, end in pairwise(cuts))

    def cuts(self, text: str) -> list[int]:
        """Return where a long text may be cut so that its tokens are those of its pieces.

        The first is 0, the last the text's length.
        """
        return [0, *accumulate(map(len, pieces(text, self.plain)))]

    def between(self, text: str, first: int, end: int) -> Tokens:
        """Return the tokens of a text between two of its :meth:`cuts`."""
        (part,) = self._together([text[first:end]], first=not first)
        return part.moved(first)

    def _together(self, texts: Sequence[str], *, first: bool = True) -> list[Tokens]:
        """Tokenize texts at once; only a text's `first` piece is shown a space before it."""
        shift = int(self.prefix_space and first)
        given = [" " + t for t in texts] if shift else list(texts)
        if not given:
            return []
        batch = self.tokenizer(
            given,
            add_special_tokens=False,
            split_special_tokens=True,  # "<|eos|>" typed in a text is text.
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        for ids in batch["input_ids"] if self.embeddings else ():
            self._check_embeddings(ids)
        return [
            _tokens(ids, spans, shift)
            for ids, spans in zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        ]

    def _check_embeddings(self, ids: Sequence[int]) -> None:
        """Refuse a token that was added to the tokenizer and not to the model."""
        if self.embeddings is None or max(ids, default=0) < self.embeddings:
            return
        number = max(ids)
        token = self.tokenizer.convert_ids_to_tokens(number)
        raise ConfigError(
            Problem(
                "trunk.path",
                "to hold a model with an embedding for each token of its tokenizer",
                f"token {number} ('{token}') of a text has none: there are {self.embeddings:,}",
                "Resize the model's embeddings, or take the token out of the tokenizer.",
            )
        )

    def plain(self, text: str) -> IntArray:
        """Return the ids of a text as it stands, without special tokens or a space before it."""
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        self._check_embeddings(ids)
        return np.asarray(ids, dtype=np.int32)

    def ending(self, ids: IntArray) -> IntArray:
        """Return what a model learns to write for a text: its ids and the end.

        An encoder-decoder writes the special tokens around a text as its tokenizer has them.
        """
        if self.architecture == "encoder-decoder":
            ids = np.concatenate([self.prefix, ids, self.suffix])
        end = end_id(self.tokenizer)
        if end is None or (len(ids) > 0 and ids[-1] == end):
            return ids
        return np.append(ids, np.int32(end))

    def room_before(self, branch: int) -> int:
        """Return how many tokens of a text have room before a branch of so many tokens."""
        if self.positions is None:
            return self.room
        special = len(self.prefix) + len(self.suffix)
        return max(1, min(self.room, self.positions - special - branch))

    def room_beside(self, other: int) -> int:
        """Return how many tokens of a text have room beside so many others in one window."""
        return max(1, self.room - other)

    def windows(self, length: int, room: int | None = None) -> list[tuple[int, int]]:
        """Cut `length` tokens into overlapping windows of at most `room`; returns [start, end).

        A text that fits is one window; see :class:`mtl.trunk.windows.Windows`.

        Args:
            length: The text's tokens.
            room: The most tokens of a window, 1 or more; :attr:`room` when None.
        """
        return list(Windows(length, self.room if room is None else room, self.stride))

    def document(self, tokens: Tokens, window: tuple[int, int]) -> IntArray:
        """Return the ids of one window with its special tokens."""
        start, end = window
        return np.concatenate([self.prefix, tokens.ids[start:end], self.suffix])

    def places(
        self, index: IntArray, windows: Sequence[tuple[int, int]]
    ) -> tuple[IntArray, IntArray]:
        """Return (part, offset) of each token: in the window where it is farthest from an edge.

        Args:
            index: (N,) token numbers in the whole text.
            windows: What :meth:`windows` returned.
        """
        return self._placed(index, windows, 0, windows[-1][1])

    def _placed(
        self, index: IntArray, windows: Sequence[tuple[int, int]], start: int, end: int
    ) -> tuple[IntArray, IntArray]:
        """Return the same of some windows of a text from token `start` to `end`."""
        chosen = nearest(index, windows, start, end)
        firsts = np.asarray(windows, dtype=np.int32)[chosen, 0]
        return chosen, (index - firsts + len(self.prefix)).astype(np.int32)


def special_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[IntArray, IntArray]:
    """Return the ids that `tokenizer` puts before and after a text."""
    bare, full = _ids(tokenizer, "a"), _ids(tokenizer, "a", special=True)
    at = _place(bare, full)
    assert at is not None, "special tokens change the text's own tokens"
    return full[:at], full[at + len(bare) :]


def pair_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[IntArray, IntArray, IntArray]:
    """Return the ids that `tokenizer` puts before, between and after two texts.

    A tokenizer that puts nothing between them (GPT-2's kind) gets the tokens of a newline, its
    end token if it has none.
    """
    one, two = _ids(tokenizer, "a"), _ids(tokenizer, "b")
    full = _ids(tokenizer, "a", "b", special=True)
    first = _place(one, full)
    rest = full[len(full) if first is None else first + len(one) :]
    second = _place(two, rest)
    if not second:
        prefix, suffix = special_tokens(tokenizer)
        return prefix, newline_tokens(tokenizer), suffix
    return full[:first], rest[:second], rest[second + len(two) :]


def newline_tokens(tokenizer: PreTrainedTokenizerFast) -> IntArray:
    """Return the ids of a line's end, or the end token where a tokenizer sees none in it."""
    ids = _ids(tokenizer, "\n")
    end = tokenizer.eos_token_id or pad_id(tokenizer)
    return ids if len(ids) else np.asarray([end], dtype=np.int32)


def _ids(tokenizer: PreTrainedTokenizerFast, *texts: str, special: bool = False) -> IntArray:
    return np.asarray(tokenizer(*texts, add_special_tokens=special)["input_ids"], dtype=np.int32)


def _place(part: IntArray, whole: IntArray) -> int | None:
    """Return where a run of tokens begins in another."""
    starts = range(len(whole) - len(part) + 1)
    return next((i for i in starts if np.array_equal(whole[i : i + len(part)], part)), None)


def pad_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return an id to fill rows with that is never the end token.

    Padding is masked and never read, so any other id will do where the tokenizer has none
    (GPT-2, Llama): the embedding table does not grow.
    """
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    if pad is not None and pad != end:
        return int(pad)
    return 0 if end != 0 else 1


def end_id(tokenizer: PreTrainedTokenizerFast) -> int | None:
    """Return the token that ends a text: the end token, or the separator where there is none."""
    end = tokenizer.eos_token_id
    return tokenizer.sep_token_id if end is None else end


def byte_level(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether words carry their leading space as part of their first token (GPT-2, RoBERTa)."""
    tokens = tokenizer.convert_ids_to_tokens(_ids(tokenizer, "a b").tolist())
    return any(token.startswith("Ġ") for token in tokens)


def _tokens(ids: list[int], spans: list[tuple[int, int]], shift: int) -> Tokens:
    where = np.asarray(spans, dtype=np.int32).reshape(-1, 2)
    where = np.maximum(where - shift, 0)
    return Tokens(np.asarray(ids, dtype=np.int32), where[:, 0], where[:, 1])
