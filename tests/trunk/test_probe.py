"""What the trunk finds out about itself, and that it is so."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError
from mtl.layout import Unit, build_rows
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from tests.helpers import ints, save_tiny, shape
from tests.trunk.alone import rows_alone
from tests.trunk.conftest import Load
from tests.trunk.families import APART, DECODERS, ENCODERS
from tests.trunk.test_packed import branching_rows, document_rows, run

FALLS_BACK = "cannot hold several documents in one row"


@pytest.mark.parametrize("name", APART)
def test_sharing_is_off_where_it_would_be_wrong(load: Load, name: str) -> None:
    trunk = load(name)
    assert not trunk.capabilities.share_rows
    trunk.capabilities = replace(
        trunk.capabilities, share_rows=True, can_attend_bidirectionally=True
    )
    rows = branching_rows() if trunk.architecture == "decoder" else document_rows()
    wanted = rows_alone(trunk.model, rows)
    try:
        found = run(trunk, rows, bidirectional=trunk.architecture != "decoder")
    except (ValueError, RuntimeError, TypeError):
        return  # The model refuses the mask: just as well.
    assert (found - wanted).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("name", "said"), [("bart", True), ("gpt_neo", True), ("llama", False), ("t5", False)]
)
def test_falling_back_is_said_once(
    load: Load, name: str, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load(name)
    assert [FALLS_BACK in r.message for r in caplog.records].count(True) == int(said)


@pytest.mark.parametrize("name", ["bloom", "gpt_neo"])
def test_a_decoder_that_cannot_look_ahead_is_not_read_both_ways(load: Load, name: str) -> None:
    with pytest.raises(ConfigError, match=r"Expected `trunk.attention` to be causal"):
        load(name, "bidirectional")
    batch = build_rows([[Unit(ints(5, 6, 7, 8))]], 0, bidirectional=True).batch
    with pytest.raises(ConfigError, match="cannot see what comes after them"):
        load(name)(batch)


def test_probing_leaves_the_mode_and_the_parameters_alone(
    tmp_path: Path, tokenizers: dict[str, Any]
) -> None:
    config = hf.LlamaConfig(**shape(num_key_value_heads=1), attention_dropout=0.5)
    save_tiny(tmp_path, config, tokenizers["bpe"])
    trunk = load_trunk(TrunkConfig(name="hf", path=str(tmp_path)))
    assert trunk.capabilities.share_rows, "dropout is off while probing"
    assert all(p.grad is None and p.requires_grad for p in trunk.parameters())


def test_a_window_longer_than_a_short_row_is_filled(
    tmp_path: Path, tokenizers: dict[str, Any]
) -> None:
    """GPT-Neo's local layers count rows' tokens, which only shows past the window's end."""
    config = hf.GPTNeoConfig(
        vocab_size=400,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        window_size=40,
        attention_types=[[["global", "local"], 1]],
        max_position_embeddings=256,
    )
    save_tiny(tmp_path, config, tokenizers["bpe"])
    assert not load_trunk(TrunkConfig(name="hf", path=str(tmp_path))).capabilities.share_rows


@pytest.mark.parametrize("name", ["modernbert", "mistral-window", "gemma3", "qwen2-window"])
def test_windows_of_the_usual_size(name: str, tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    """Windows far longer than three tokens end exactly where the model's own end."""
    config = {**DECODERS, **ENCODERS}[name]()
    config.sliding_window = 24
    config.max_position_embeddings = 256
    save_tiny(tmp_path, config, tokenizers["bpe"])
    trunk = load_trunk(TrunkConfig(name="hf", path=str(tmp_path))).eval()
    assert trunk.capabilities.share_rows
    long = np.random.default_rng(0).integers(5, 195, 90).astype(np.int32)
    rows = [[Unit(long[:60]), Unit(long[60:])]]
    found = run(trunk, rows, bidirectional=trunk.architecture != "decoder")
    torch.testing.assert_close(found, rows_alone(trunk.model, rows), rtol=1e-5, atol=1e-5)


def test_a_window_that_no_layer_uses(tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    """Qwen2 may name a window and have full attention in every layer."""
    config = hf.Qwen2Config(
        **shape(num_key_value_heads=1),
        use_sliding_window=True,
        sliding_window=3,
        max_window_layers=2,
    )
    assert set(config.layer_types) == {"full_attention"}
    save_tiny(tmp_path, config, tokenizers["bpe"])
    trunk: Trunk = load_trunk(TrunkConfig(name="hf", path=str(tmp_path))).eval()
    rows = branching_rows()
    torch.testing.assert_close(
        run(trunk, rows), rows_alone(trunk.model, rows), rtol=1e-5, atol=1e-5
    )
