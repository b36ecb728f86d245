"""Text to tokens: offsets, special tokens, padding sides, prefix space."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError
from mtl.layout import Unit, build_rows
from mtl.trunk.load import load_trunk
from mtl.trunk.text import TextEncoder, byte_level, pad_id, special_tokens
from tests.helpers import CORPUS, TOKENIZERS, ints, llama_config, save_tiny
from tests.properties import max_examples

TEXTS = [
    *CORPUS,
    "",
    " ",
    "a",
    "  two  spaces and a tab\t.",
    "Line one\nline two\r\n",
    "👍🏽 fine 👩‍👩‍👧 family",
    "cafe\u0301 and café, naïve",
    "東京は大きい。 서울",
    "no\u00a0break\u2009thin\u3000wide",
    "ﬁne ½ ligature",
    "हिन्दी में",
]
KINDS = sorted(TOKENIZERS)


def encoder(tokenizer: Any, prefix_space: bool | None = None) -> TextEncoder:
    prefix = byte_level(tokenizer) if prefix_space is None else prefix_space
    return TextEncoder(tokenizer, 64, 16, prefix_space=prefix)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_offsets_refer_to_the_text_as_given(
    tokenizers: dict[str, Any], kind: str, text: str
) -> None:
    tokens = encoder(tokenizers[kind]).tokenize([text])[0]
    assert len(tokens.ids) == len(tokens.starts) == len(tokens.ends)
    assert (tokens.starts >= 0).all()
    assert (tokens.starts <= tokens.ends).all()
    assert (tokens.ends <= len(text)).all()
    assert (np.diff(tokens.starts) >= 0).all()
    assert (np.diff(tokens.ends) >= 0).all()
    covered = {i for s, e in zip(tokens.starts, tokens.ends, strict=True) for i in range(s, e)}
    visible = {i for i, c in enumerate(text) if c.isalnum()}
    assert visible <= covered, "a letter or digit belongs to no token"


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokens_span_is_its_own_text(tokenizers: dict[str, Any], kind: str) -> None:
    """On plain words a token's characters are what its piece says."""
    text = "Ines Talbot left Brackwater before the rain"
    tokenizer = tokenizers[kind]
    tokens = encoder(tokenizer).tokenize([text])[0]
    for token, start, end in zip(tokens.ids, tokens.starts, tokens.ends, strict=True):
        piece = tokenizer.convert_ids_to_tokens(int(token)).lstrip("Ġ▁").removeprefix("##")
        found = text[start:end].strip()
        assert (found.lower() if kind == "wordpiece" else found) == piece


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.sampled_from(["Ines", "rain", "é", "👍", "東京", "3.5", "won't"]), max_size=6))
@max_examples(25)
def test_a_batch_of_texts_is_each_text_alone(
    tokenizers: dict[str, Any], kind: str, words: list[str]
) -> None:
    it = encoder(tokenizers[kind])
    texts = [" ".join(words), "rain", "".join(words)]
    for together, text in zip(it.tokenize(texts), texts, strict=True):
        alone = it.tokenize([text])[0]
        assert together.ids.tolist() == alone.ids.tolist()
        assert together.starts.tolist() == alone.starts.tolist()


def test_no_texts(tokenizers: dict[str, Any]) -> None:
    assert encoder(tokenizers["bpe"]).tokenize([]) == []


def test_byte_level_is_seen(tokenizers: dict[str, Any]) -> None:
    assert {kind: byte_level(t) for kind, t in tokenizers.items()} == {
        "bpe": True,
        "metaspace": False,
        "wordpiece": False,
    }


def test_the_first_word_gets_its_token_of_mid_sentence(tokenizers: dict[str, Any]) -> None:
    it, text = encoder(tokenizers["bpe"]), "the rain"
    first = it.tokenize([text])[0]
    middle = it.tokenize(["before the rain"])[0]
    assert middle.ids[-len(first) :].tolist() == first.ids.tolist()
    bare = encoder(tokenizers["bpe"], prefix_space=False).tokenize([text])[0]
    assert bare.ids.tolist() != first.ids.tolist()
    assert (first.starts[0], first.ends[-1]) == (0, len(text))


def test_offsets_that_leave_the_space_out(tokenizers: dict[str, Any]) -> None:
    """RoBERTa's tokenizer trims the space from a token's span, GPT-2's does not."""
    from tokenizers import processors

    trimmed = copy.deepcopy(tokenizers["bpe"])
    trimmed.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    for tokenizer, starts in ((trimmed, [0, 4]), (tokenizers["bpe"], [0, 3])):
        tokens = encoder(tokenizer).tokenize(["the rain"])[0]
        words = tokens.first_of(ints(0, 4), ints(3, 8))
        assert tokens.starts[words].tolist() == starts


def test_prefix_space_changes_no_word_but_the_first(tokenizers: dict[str, Any]) -> None:
    text = "rain before rain"
    spaced, bare = (encoder(tokenizers["bpe"], p).tokenize([text])[0] for p in (True, False))
    after = [[i for i, s in zip(t.ids, t.ends, strict=True) if s > 5] for t in (spaced, bare)]
    assert after[0] == after[1]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("bpe", [], []), ("wordpiece", ["[CLS]"], ["[SEP]"]), ("metaspace", ["<s>"], [])],
)
def test_special_tokens(
    tokenizers: dict[str, Any], kind: str, before: list[str], after: list[str]
) -> None:
    tokenizer = tokenizers[kind]
    prefix, suffix = special_tokens(tokenizer)
    assert tokenizer.convert_ids_to_tokens(prefix.tolist()) == before
    assert tokenizer.convert_ids_to_tokens(suffix.tolist()) == after


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_what_the_tokenizer_gives(tokenizers: dict[str, Any], kind: str) -> None:
    tokenizer = tokenizers[kind]
    it = encoder(tokenizer, prefix_space=False)
    for text in CORPUS:
        tokens = it.tokenize([text])[0]
        document = it.document(tokens, (0, len(tokens)))
        assert document.tolist() == tokenizer(text)["input_ids"]


def test_room_counts_special_tokens(tokenizers: dict[str, Any]) -> None:
    assert TextEncoder(tokenizers["bpe"], 64).room == 64
    assert TextEncoder(tokenizers["wordpiece"], 64).room == 62


@pytest.mark.parametrize("length", [1, 2])
def test_max_length_without_room_for_text(tokenizers: dict[str, Any], length: int) -> None:
    with pytest.raises(ConfigError, match=rf"`trunk.max_length` to be at least 3.*got {length}\."):
        TextEncoder(tokenizers["wordpiece"], length)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pad_id_is_never_the_end(tokenizers: dict[str, Any], kind: str) -> None:
    tokenizer = tokenizers[kind]
    assert pad_id(tokenizer) != tokenizer.eos_token_id
    assert 0 <= pad_id(tokenizer) < len(tokenizer)
    if kind == "wordpiece":
        assert pad_id(tokenizer) == tokenizer.pad_token_id


@pytest.mark.parametrize("kind", KINDS)
def test_the_padding_side_changes_nothing(
    kind: str, tmp_path: Path, tokenizers: dict[str, Any]
) -> None:
    """A tokenizer that pads left gives the batch and the states of one that pads right."""
    found = []
    for side in ("left", "right"):
        folder = save_tiny(tmp_path / side, llama_config(), tokenizers[kind])
        settings_file = folder / "tokenizer_config.json"
        options = json.loads(settings_file.read_text(encoding="utf-8"))
        settings_file.write_text(json.dumps({**options, "padding_side": side}), encoding="utf-8")
        trunk = load_trunk(TrunkConfig(name="hf", path=str(folder))).eval()
        assert trunk.tokenizer.padding_side == side
        it = encoder(trunk.tokenizer)
        units = [[Unit(it.document(t, (0, len(t))))] for t in it.tokenize(CORPUS[:3])]
        batch = build_rows(units, pad_id(trunk.tokenizer), bidirectional=False).batch
        found.append((batch.input_ids, trunk(batch)))
    (left, left_states), (right, right_states) = found
    assert (left[:, -1] == pad_id(tokenizers[kind])).any(), "something was padded"
    assert torch.equal(left, right)
    assert torch.equal(left_states, right_states)


@pytest.mark.parametrize("name", ["bpe", "wordpiece"])
def test_special_tokens_in_a_text_are_text(tokenizers: dict[str, Any], name: str) -> None:
    tokenizer = tokenizers[name]
    encoder = TextEncoder(tokenizer, 64)
    for special in tokenizer.all_special_tokens:
        (tokens,) = encoder.tokenize([f"so {special} is a word"])
        written = set(tokens.ids.tolist()) & set(tokenizer.all_special_ids)
        assert written <= {tokenizer.unk_token_id}


@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("name", ["bpe", "wordpiece", "metaspace"])
def test_what_is_written_ends_once(tokenizers: dict[str, Any], name: str, kind: str) -> None:
    """Whether or not the tokenizer itself ends texts; what stands before the end is the text."""
    tokenizer = tokenizers[name]
    encoder = TextEncoder(tokenizer, 32, architecture=kind, start=0)
    (tokens,) = encoder.tokenize(["a letter"])
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    for ids in (tokens.ids, tokens.ids[:0]):
        found = encoder.ending(ids).tolist()
        assert found[-1] == end
        assert found.count(end) == 1
        assert found[len(found) - 1 - len(ids) : -1] == ids.tolist()


def test_a_token_without_an_embedding() -> None:
    """Added to the tokenizer, not to the model: texts without it are read as ever."""
    tokenizer = TOKENIZERS["bpe"]()
    rows = len(tokenizer)
    tokenizer.add_tokens(["zzqx"])
    encoder = TextEncoder(tokenizer, 32, embeddings=rows)
    assert len(encoder.tokenize(["a plain text"])[0])
    with pytest.raises(ConfigError, match=rf"token {rows} \('zzqx'\) of a text has none"):
        encoder.tokenize(["fine", "a zzqx text"])
    with pytest.raises(ConfigError, match="Resize the model's embeddings"):
        encoder.plain("zzqx")
    assert len(TextEncoder(tokenizer, 32, embeddings=rows + 1).tokenize(["a zzqx text"])[0])
