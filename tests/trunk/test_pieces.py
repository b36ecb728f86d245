"""A long text has the tokens of the whole, however it is cut to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.trunk import pieces as module
from mtl.trunk import text as encoders
from mtl.trunk.pieces import pieces
from mtl.trunk.text import TextEncoder
from tests.helpers import CORPUS
from tests.properties import max_examples

WORDS = sorted({word for sentence in CORPUS for word in sentence.split()})
TEXTS = st.lists(st.sampled_from([*WORDS, "", "\n", "  ", "\t", "雨", "北の道", "é", "🙂"]))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SIZE": 40, "AROUND": 12}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(encoders, "SIZE", 40)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["bpe", "wordpiece", "metaspace"])
@pytest.mark.parametrize("prefix", [False, True])
def test_tokens_are_those_of_the_whole(tokenizers: dict[str, Any], name: str, prefix: bool) -> None:
    encoder = TextEncoder(tokenizers[name], 32, prefix_space=prefix)

    @given(TEXTS, st.sampled_from([" ", " \n ", ""]))
    @max_examples(60)
    def check(words: list[str], between: str) -> None:
        text = between.join(words * 4)
        (found,), (wanted,) = encoder._tokenize([text]), encoder._together([text])
        assert np.array_equal(found.ids, wanted.ids)
        assert np.array_equal(found.starts, wanted.starts)
        assert np.array_equal(found.ends, wanted.ends)

    check()


@pytest.mark.usefixtures("small")
def test_pieces_are_the_text_and_no_longer_than_they_have_to_be() -> None:
    text = " ".join(WORDS * 10)
    found = list(pieces(text, lambda part: np.asarray([ord(c) for c in part], dtype=np.int32)))
    assert "".join(found) == text
    assert max(map(len, found)) <= 2 * 40
    assert all(piece[0] == " " for piece in found[1:])
    whole = list(pieces(text, lambda part: np.asarray([len(part)], dtype=np.int32)))
    assert whole == [text], "no cut is harmless"
