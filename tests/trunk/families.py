"""One tiny configuration of each architecture, and a folder for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers as hf

from mtl.config.schema import TrunkConfig
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from tests.helpers import save_tiny, shape

WINDOW = 3
"""Shorter than every document of the tests, so that it always cuts."""
LOCAL = ["sliding_attention", "full_attention"]


def _qwen2_window() -> Any:
    return hf.Qwen2Config(
        **shape(num_key_value_heads=1),
        use_sliding_window=True,
        sliding_window=WINDOW,
        max_window_layers=1,
        layer_types=LOCAL,
    )


def _gemma3() -> Any:
    return hf.Gemma3TextConfig(
        **shape(num_key_value_heads=1, head_dim=8), sliding_window=WINDOW, layer_types=LOCAL
    )


def _distilbert() -> Any:
    return hf.DistilBertConfig(
        vocab_size=400, dim=16, hidden_dim=24, n_layers=2, n_heads=2, max_position_embeddings=64
    )


def _modernbert() -> Any:
    return hf.ModernBertConfig(
        **shape(), local_attention=2 * WINDOW, layer_types=LOCAL, pad_token_id=0
    )


def _t5() -> Any:
    return hf.T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)


def _bart() -> Any:
    return hf.BartConfig(
        vocab_size=400,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=64,
    )


DECODERS: dict[str, Callable[[], Any]] = {
    "llama": lambda: hf.LlamaConfig(**shape(num_key_value_heads=1)),
    "qwen2": lambda: hf.Qwen2Config(**shape(num_key_value_heads=1)),
    "qwen2-window": _qwen2_window,
    "qwen3": lambda: hf.Qwen3Config(**shape(num_key_value_heads=1, head_dim=8)),
    "gpt2": lambda: hf.GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=2, n_positions=64),
    "mistral": lambda: hf.MistralConfig(**shape(num_key_value_heads=1), sliding_window=None),
    "mistral-window": lambda: hf.MistralConfig(
        **shape(num_key_value_heads=1), sliding_window=WINDOW
    ),
    "gemma3": _gemma3,
    "opt": lambda: hf.OPTConfig(
        vocab_size=400, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, word_embed_proj_dim=16,
    ),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**shape()),
}  # fmt: skip

ENCODERS: dict[str, Callable[[], Any]] = {
    "bert": lambda: hf.BertConfig(**shape(vocab_size=400)),
    "roberta": lambda: hf.RobertaConfig(**shape(max_position_embeddings=66)),
    "distilbert": _distilbert,
    "modernbert": _modernbert,
    "t5": _t5,  # Its encoder: biases by distance, so that a document may stand anywhere in a row.
}

APART: dict[str, Callable[[], Any]] = {
    "bart": _bart,
    "bloom": lambda: hf.BloomConfig(vocab_size=400, hidden_size=16, n_layer=2, n_head=2),
    "gpt_neo": lambda: hf.GPTNeoConfig(
        vocab_size=400, hidden_size=16, num_layers=2, num_heads=2, window_size=WINDOW,
        attention_types=[[["global", "local"], 1]], max_position_embeddings=64,
    ),
}  # fmt: skip
"""Architectures whose rows cannot be shared: positions or windows come from the token index."""

FAMILIES = {**DECODERS, **ENCODERS, **APART}


def save_family(name: str, folder: Path, tokenizer: Any) -> Path:
    """Write a folder for a family unless it is there already; returns it."""
    path = folder / name
    return path if path.exists() else save_tiny(path, FAMILIES[name](), tokenizer)


def load_family(name: str, folder: Path, tokenizer: Any, attention: str = "causal") -> Trunk:
    """Load a family's trunk from its folder, in evaluation mode."""
    path = save_family(name, folder, tokenizer)
    return load_trunk(TrunkConfig(name="hf", path=str(path), attention=attention)).eval()
