"""Pieces of texts, told token by token, are the texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.trunk.streaming import PieceStreamer
from mtl.trunk.text import end_id
from tests.helpers import TOKENIZERS
from tests.properties import max_examples

MADE: dict[str, Any] = {}


def tokenizer_of(name: str) -> Any:
    return MADE.setdefault(name, TOKENIZERS[name]())


def told(tokenizer: Any, rows: list[list[int]]) -> list[list[str]]:
    """Return the pieces of each row; rows that have ended get their end token again."""
    pieces: list[list[str]] = [[] for _ in rows]
    streamer = PieceStreamer(tokenizer, lambda row, piece: pieces[row].append(piece))
    streamer.put(torch.zeros(len(rows), 3, dtype=torch.int64))
    for at in range(max(map(len, rows), default=0) + 1):
        step = [row[at] if at < len(row) else end_id(tokenizer) for row in rows]
        streamer.put(torch.tensor(step))
    streamer.end()
    return pieces


@max_examples(30)
@given(st.sampled_from(sorted(TOKENIZERS)), st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_pieces_are_the_beginning_of_the_text(name: str, texts: list[str]) -> None:
    tokenizer = tokenizer_of(name)
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = [[token for token in row if token != end_id(tokenizer)] for row in rows]
    for row, pieces in zip(rows, told(tokenizer, rows), strict=True):
        whole = tokenizer.decode(row, skip_special_tokens=True).strip()
        assert whole.startswith("".join(pieces))
        assert all(pieces)


@pytest.mark.parametrize("text", ["Zoë’s café 🙂 in 日本.", "  two  words \n"])
def test_pieces_are_whole_characters_and_all_of_the_text(text: str) -> None:
    tokenizer = tokenizer_of("bpe")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    (pieces,) = told(tokenizer, [ids])
    assert "".join(pieces) == text.strip()
    assert "\ufffd" not in "".join(pieces)
    assert len(pieces) > 1


def test_nothing_is_told_after_the_end() -> None:
    tokenizer = tokenizer_of("bpe")
    ids = tokenizer("Tea and bread", add_special_tokens=False)["input_ids"]
    end = end_id(tokenizer)
    assert end is not None
    (pieces,) = told(tokenizer, [[*ids[:2], end, *ids[2:]]])
    assert "".join(pieces) == tokenizer.decode(ids[:2]).strip()
