"""Folders in llama2.c format, against a forward pass in numpy and SentencePiece itself."""

from __future__ import annotations

import io
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from scripts.convert_llama2c import convert, main, sentencepiece_bpe
from tests.helpers import CORPUS
from tests.properties import max_examples
from tests.scripts.llama2c_reference import Llama2c
from tests.trunk.alone import native

spm = pytest.importorskip("sentencepiece")

SHAPE = (16, 24, 2, 4, 2, 400, 32)
"""dim, hidden, layers, heads, kv_heads, vocabulary, positions."""
STRINGS = [
    *CORPUS,
    "Once upon a time, there was a little girl named Lily.",
    "",
    "  two  spaces ",
    "1234",
    "naïve café 東京 👍",
    "line\nbreak\ttab",
    "no\u00a0break",
]


def write_model(path: Path, shape: tuple[int, ...] = SHAPE, extra: int = 0) -> Path:
    """Write random weights in llama2.c's order; `extra` floats too many or too few."""
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = shape
    size = dim // heads
    count = abs(vocabulary) * dim + layers * (2 * dim * dim + 2 * kv_heads * size * dim)
    count += layers * (2 * dim + 3 * dim * hidden) + dim + positions * size
    count += -vocabulary * dim if vocabulary < 0 else 0
    weights = np.random.default_rng(0).normal(0, 0.3, count + extra).astype("<f4")
    path.write_bytes(struct.pack("7i", *shape) + weights.tobytes())
    return path


def train_tokenizer(path: Path, **options: Any) -> Path:
    """Train SentencePiece as llama2.c does: BPE, byte fallback, no normalisation."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=model,
        model_type="bpe",
        vocab_size=400,
        byte_fallback=True,
        split_digits=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        minloglevel=2,
        **options,
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.bin")
    train_tokenizer(tmp_path / "tok.model")
    return tmp_path


@pytest.fixture(scope="module")
def stories() -> Path:
    data = os.environ.get("MTL_DATA")
    found = Path(data).parent / "weights" / "stories260K" if data else None
    if found is None or not found.is_dir():
        pytest.skip("set MTL_DATA to a folder beside which weights/stories260K lies")
    return found


def converted(folder: Path, dest: Path, *, writes: bool = False, **options: Any) -> Trunk:
    assert main([str(folder), str(dest)]) == 0
    return load_trunk(TrunkConfig(name="hf", path=str(dest), **options), writes=writes)


def states(model: Any, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return native(model.eval(), np.asarray(ids, dtype=np.int32)).double().numpy()


@pytest.mark.parametrize("vocabulary", [400, -400])
def test_states_equal_the_reference(folder: Path, vocabulary: int) -> None:
    """Grouped keys, shared and separate output matrices, positions up to the last."""
    shape = (*SHAPE[:5], vocabulary, SHAPE[6])
    reference = Llama2c(write_model(folder / "model.bin", shape))
    model = converted(folder, folder / "new").model
    ids = np.random.default_rng(1).integers(0, 400, SHAPE[6]).tolist()
    np.testing.assert_allclose(states(model, ids), reference.states(ids), atol=1e-4)


def test_logits_of_a_trained_model(stories: Path, tmp_path: Path) -> None:
    reference = Llama2c(stories / "stories260K.bin")
    trunk = converted(stories, tmp_path)
    model, tokenizer = trunk.model, trunk.tokenizer
    ids = tokenizer("Once upon a time, there was a")["input_ids"]
    wanted = reference.states(ids) @ reference.output.T
    found = states(model, ids) @ model.embed_tokens.weight.detach().double().numpy().T
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert found[-1].argmax() == wanted[-1].argmax()
    assert tokenizer.decode([int(wanted[-1].argmax())]).strip() == "little"


def test_a_trained_model_as_a_trunk(stories: Path, tmp_path: Path) -> None:
    trunk = converted(stories, tmp_path)
    assert trunk.architecture == "decoder"
    assert trunk.capabilities.share_rows
    assert trunk.hidden_size == 64
    assert trunk.dtype == torch.float32


@pytest.mark.parametrize("text", STRINGS)
def test_ids_of_a_trained_tokenizer(stories: Path, text: str) -> None:
    assert_same_ids(stories / "tok512.model", text)


def assert_same_ids(path: Path, text: str) -> None:
    processor = spm.SentencePieceProcessor(model_file=str(path))
    found = sentencepiece_bpe(path)
    assert found(text)["input_ids"] == [1, *processor.encode(text)]


@pytest.mark.parametrize("text", STRINGS)
@pytest.mark.parametrize(
    "options",
    [{}, {"remove_extra_whitespaces": False}, {"add_dummy_prefix": False}],
    ids=["llama2c", "llama", "no-prefix"],
)
def test_ids_equal_sentencepieces(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    assert_same_ids(train_tokenizer(tmp_path / "tok.model", **options), text)


@given(st.text(st.sampled_from("aeintrs, .19é東👍"), max_size=30))
@max_examples(150)
def test_ids_of_any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.model"
    if not path.exists():
        train_tokenizer(path)
    assert_same_ids(path, text)


def test_offsets_are_those_of_the_text(folder: Path) -> None:
    from mtl.trunk.text import TextEncoder

    text = CORPUS[0]
    tokens = TextEncoder(sentencepiece_bpe(folder / "tok.model"), 64).tokenize([text])[0]
    spans = zip(tokens.starts, tokens.ends, strict=True)
    assert "".join(text[s:e] for s, e in spans).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("vocabulary", [400, -400])
def test_the_output_layer_is_the_files(folder: Path, vocabulary: int) -> None:
    shape = (*SHAPE[:5], vocabulary, SHAPE[6])
    reference = Llama2c(write_model(folder / "model.bin", shape))
    trunk = converted(folder, folder / "new", writes=True)
    assert trunk.output is not None
    ids = np.random.default_rng(1).integers(0, 400, 9).tolist()
    with torch.no_grad():
        found = trunk.output(native(trunk.model.eval(), np.asarray(ids, dtype=np.int32)))
    wanted = reference.states(ids) @ reference.output.T
    np.testing.assert_allclose(found.double().numpy(), wanted, atol=1e-3)


@pytest.mark.parametrize("text", STRINGS)
def test_the_folders_tokenizer_is_the_same(folder: Path, text: str) -> None:
    tokenizer = converted(folder, folder / "new").tokenizer
    processor = spm.SentencePieceProcessor(model_file=str(folder / "tok.model"))
    assert tokenizer(text)["input_ids"] == [1, *processor.encode(text)]


def test_an_error_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "new")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: Expected a folder with one *.model file")
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def fails(folder: Path) -> str:
    with pytest.raises(ConfigError, match=r"^Expected a ") as caught:
        convert(folder, folder / "new")
    assert not (folder / "new").exists()
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_model_of_another_size_than_its_header(folder: Path, extra: int) -> None:
    write_model(folder / "model.bin", extra=extra)
    assert "none of the 1 .bin files" in fails(folder)


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("7i", *[0] * 7), b"\xff" * 28])
def test_a_file_that_is_no_model(folder: Path, content: bytes) -> None:
    (folder / "model.bin").write_bytes(content)
    assert "none of the 1 .bin files" in fails(folder)


def test_another_bin_beside_the_model_does_no_harm(folder: Path) -> None:
    (folder / "a-tokenizer.bin").write_bytes(b"\x07\0\0\0" * 50)
    assert converted(folder, folder / "new").hidden_size == SHAPE[0]


def test_two_models(folder: Path) -> None:
    shutil.copy(folder / "model.bin", folder / "other.bin")
    assert "has 2: model.bin, other.bin" in fails(folder)


def test_two_tokenizers(folder: Path) -> None:
    shutil.copy(folder / "tok.model", folder / "other.model")
    assert "has 2" in fails(folder)


def test_no_model(folder: Path) -> None:
    (folder / "model.bin").unlink()
    assert "none of the 0 .bin files" in fails(folder)


def test_no_tokenizer_and_no_folder(folder: Path) -> None:
    (folder / "tok.model").unlink()
    assert "has 0" in fails(folder)
    fails(folder / "nowhere")


def test_a_tokenizer_that_is_none(folder: Path) -> None:
    (folder / "tok.model").write_text("hello", encoding="utf-8")
    assert "tok.model" in fails(folder)


def test_a_tokenizer_larger_than_the_model(folder: Path) -> None:
    write_model(folder / "model.bin", (*SHAPE[:5], 200, SHAPE[6]))
    message = fails(folder)
    assert "400" in message
    assert "200" in message
