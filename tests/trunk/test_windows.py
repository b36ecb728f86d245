"""Overlapping windows of long texts, and which window speaks for a token."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.windows import Windows
from tests.properties import max_examples

SIZES = st.tuples(st.integers(3, 40), st.integers(0, 60), st.integers(0, 300))


def encoder(tokenizers: dict[str, Any], max_length: int, stride: int) -> TextEncoder:
    return TextEncoder(tokenizers["wordpiece"], max_length, stride)


@given(SIZES)
@max_examples(200)
def test_windows_cover_overlap_and_fit(
    tokenizers: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    max_length, stride, length = sizes
    it = encoder(tokenizers, max_length, stride)
    windows = it.windows(length)
    assert it.room == max_length - 2
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(0 <= end - start <= it.room for start, end in windows)
    for (start, end), (after, beyond) in pairwise(windows):
        assert start < after < beyond
        assert end - after >= it.stride, "neighbours share fewer tokens than the stride"
    assert it.stride == min(stride, it.room // 2)


@given(SIZES)
@max_examples(100)
def test_no_more_windows_than_needed(
    tokenizers: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    max_length, stride, length = sizes
    it = encoder(tokenizers, max_length, stride)
    windows = it.windows(length)
    if length <= it.room:
        assert windows == [(0, length)]
        return
    assert {end - start for start, end in windows} == {it.room}, "none is a short rest"
    fewer = len(windows) - 1
    reach = fewer * it.room - (fewer - 1) * it.stride
    assert reach < length, "one window fewer would have done"


@given(SIZES)
@max_examples(100)
def test_a_token_belongs_where_it_stands_farthest_from_an_edge(
    tokenizers: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    max_length, stride, length = sizes
    it = encoder(tokenizers, max_length, stride)
    windows = it.windows(length)
    parts, offsets = it.places(np.arange(length, dtype=np.int32), windows)
    for token, (owner, offset) in enumerate(zip(parts.tolist(), offsets.tolist(), strict=True)):
        start, end = windows[owner]
        assert start <= token < end
        assert offset == len(it.prefix) + token - start
        rooms = [_room(token, window, length) for window in windows]
        assert rooms[owner] == max(rooms)


def _room(token: int, window: tuple[int, int], length: int) -> float:
    """Tokens between `token` and the nearer cut of a window that holds it; -1 outside."""
    start, end = window
    if not start <= token < end:
        return -1
    left = token - start if start > 0 else float("inf")
    right = end - 1 - token if end < length else float("inf")
    return min(left, right)


def test_a_window_with_its_special_tokens(tokenizers: dict[str, Any]) -> None:
    it = encoder(tokenizers, 6, 2)
    ids = np.arange(50, 60, dtype=np.int32)
    tokens = Tokens(ids, ids, ids + 1)
    assert it.windows(10) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert it.document(tokens, (2, 6)).tolist() == [2, 52, 53, 54, 55, 3]


@pytest.mark.parametrize("length", [0, 1])
def test_short_texts_are_one_window(tokenizers: dict[str, Any], length: int) -> None:
    assert encoder(tokenizers, 3, 64).windows(length) == [(0, length)]


@given(SIZES)
@max_examples(15)
def test_the_window_of_a_token_is_found_without_all_of_them(
    tokenizers: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    max_length, stride, length = sizes
    it = encoder(tokenizers, max_length, stride)
    every = Windows(length, it.room, it.stride)
    assert list(every) == it.windows(length)
    tokens = np.arange(length, dtype=np.int32)
    parts, _ = it.places(tokens, it.windows(length))
    assert [every.of(token) for token in tokens.tolist()] == parts.tolist()
