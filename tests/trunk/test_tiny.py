"""The bundled trunk "tiny": its tokenizer, its configuration, and the script that makes both."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import TrunkConfig
from mtl.trunk.load import BUNDLED, load_trunk

ROOT = Path(__file__).resolve().parents[2]
FOLDER = BUNDLED / "tiny"
TEXTS = [
    "Ottoline Sarpong sold 1,204 kippers in 2023.",
    "  two spaces,\ttab\r\nand lines\n\n ",
    "caf\u00e9, cafe\u0301, \ufb01ne, \u00bd, \u2160",
    "\u6771\u4eac \U0001f642 \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f692",
    "\ufeff\u00a0\u200b",
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(
        "train_tokenizer", ROOT / "scripts" / "train_tokenizer.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The shipped tokenizer, loaded as users load it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER)


def encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    found = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    return found["input_ids"], found["offset_mapping"]


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(encode(tokenizer, text)[0]) == text


def test_round_trip_of_any_text(tokenizer: Any) -> None:
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def holds(text: str) -> None:
        assert tokenizer.decode(encode(tokenizer, text)[0]) == text

    holds()


@pytest.mark.parametrize("text", TEXTS)
def test_spans_cover_all_but_white_space(tokenizer: Any, text: str) -> None:
    _, spans = encode(tokenizer, text)
    covered = {i for start, end in spans for i in range(start, end)}
    assert covered >= {i for i, c in enumerate(text) if not c.isspace()}
    assert all(0 <= start <= end <= len(text) for start, end in spans)


def test_a_span_is_the_token_without_its_space(tokenizer: Any) -> None:
    text = TEXTS[0]
    ids, spans = encode(tokenizer, text)
    for token, (start, end) in zip(ids, spans, strict=True):
        assert text[start:end] == tokenizer.decode([token]).strip()


def test_digits_stand_alone(tokenizer: Any) -> None:
    ids, _ = encode(tokenizer, "in 2023")
    assert [tokenizer.decode([i]) for i in ids] == ["in", " 2", "0", "2", "3"]


def test_special_tokens(tokenizer: Any) -> None:
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 512
    bare, full = encode(tokenizer, "a")[0], tokenizer("a")["input_ids"]
    assert full == [tokenizer.bos_token_id, *bare]
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3


def test_configuration_and_tokenizer_agree(tokenizer: Any) -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["vocab_size"] == len(tokenizer)
    assert config["max_position_embeddings"] == tokenizer.model_max_length
    for name in ("pad", "bos", "eos"):
        assert config[f"{name}_token_id"] == getattr(tokenizer, f"{name}_token_id")


def test_shipped_configuration_is_the_scripts(script: ModuleType) -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    options = json.loads((FOLDER / "tokenizer_config.json").read_text())
    assert config == script.trunk_config()
    assert options == script.tokenizer_config()


def test_trunk_loads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    trunk = load_trunk(TrunkConfig(name="tiny", pretrained=False))
    assert trunk.architecture == "decoder"
    assert trunk.capabilities.share_rows
    assert 3.8e6 < sum(p.numel() for p in trunk.parameters()) < 4.5e6


def test_shipped_weights_are_small_halves_and_load_in_single_precision() -> None:
    from safetensors import safe_open

    file = FOLDER / "model.safetensors"
    assert file.stat().st_size <= 10_000_000
    with safe_open(file, "pt") as weights:
        stored = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
        assert set(weights.metadata()) == {"format"}
    assert {w.dtype for w in stored.values()} == {torch.bfloat16}
    trunk = load_trunk(TrunkConfig(name="tiny"))
    found = {f"model.{name}": w for name, w in trunk.model.state_dict().items()}
    assert set(found) == set(stored)
    assert all(torch.equal(found[name], w.float()) for name, w in stored.items())


def test_shipped_weights_know_some_english(tokenizer: Any) -> None:
    """Sentences that are in no training text: the right order of words is far likelier."""
    trunk = load_trunk(TrunkConfig(name="tiny"), writes=True).eval()
    assert trunk.output is not None
    for text in ("The baker closed her shop early because of the storm.", "He was not at home."):
        words = text.rstrip(".").split()
        shuffled = " ".join(reversed(words)) + "."
        right, wrong = (cost(trunk.output.model, tokenizer, t) for t in (text, shuffled))
        assert right < wrong - 5.0


def cost(model: Any, tokenizer: Any, text: str) -> float:
    """Return a text's negative log-likelihood, in nats."""
    ids = tokenizer(" " + text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)


def test_same_text_gives_the_same_files(script: ModuleType, tmp_path: Path) -> None:
    lines = ["Rain fell on the old harbour town.\n", "The harbour master sold 12 old boats.\n"] * 9
    for name in ("one", "two"):
        script.write(script.train(lines, 300), tmp_path / name)
    for file in sorted(p.name for p in (tmp_path / "one").iterdir()):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_weights_of_lines(script: ModuleType) -> None:
    lines = list("abcd")
    assert list(script.repeat(lines, 2)) == list("aabbccdd")
    assert list(script.repeat(lines, 0.5)) == list("bd")
    assert list(script.repeat(lines, 1.5)) == list("abbcdd")


def test_a_path_may_end_in_a_weight(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a:2").mkdir()
    (tmp_path / "b.txt").write_text("x\n")
    assert script.weighted(f"{tmp_path}/b.txt:0.25") == (tmp_path / "b.txt", 0.25)
    assert script.weighted(f"{tmp_path}/a:2") == (tmp_path / "a:2", 1.0)
    with pytest.raises(ValueError, match="above 0"):
        script.weighted(f"{tmp_path}/b.txt:0")
    with pytest.raises(ValueError, match="to be a file or a folder"):
        script.weighted(f"{tmp_path}/c.txt")
