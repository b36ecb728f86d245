"""Read decoders in llama2.c format: seven int32, then float32 weights.

The header is ``dim, hidden, layers, heads, kv_heads, vocabulary, positions``; a negative
vocabulary means that the output matrix is stored too. Rotary pairs are neighbours there and
half a head apart in transformers, so query and key rows are reordered.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl.errors import ConfigError
from mtl.trunk.spm import sentencepiece_bpe

HEADER = struct.Struct("7i")


def load_llama2c(
    folder: Path, *, pretrained: bool = True, dropout: float | None = None, writes: bool = False
) -> tuple[nn.Module, Any]:
    """Return (LlamaModel in float32, fast tokenizer) from a llama2.c folder.

    Args:
        folder: Holds one ``.bin`` with the header above, and one SentencePiece ``.model``.
        pretrained: False keeps the shape and starts from random weights.
        dropout: Attention dropout, the only one Llama has.
        writes: Return LlamaForCausalLM, with its output layer.

    Raises:
        ConfigError: If a file is missing, its size does not fit its header, or the tokenizer has
            more pieces than the model has embeddings.
    """
    from transformers import LlamaForCausalLM, LlamaModel

    tokenizer = sentencepiece_bpe(_only(folder, "*.model"))
    weights = _find_weights(folder)
    config, arrays = _read(weights)
    if len(tokenizer) > config.vocab_size:
        raise ConfigError(
            f"Expected `trunk.path` to hold a model and its own tokenizer, but in '{folder}' the "
            f"tokenizer has {len(tokenizer)} pieces and {weights.name} has {config.vocab_size}."
        )
    config.attention_dropout = dropout or 0.0
    whole = (LlamaForCausalLM if writes else LlamaModel)(config).float()
    if pretrained:
        whole.base_model.load_state_dict(_state(config, arrays), strict=True)
        if writes and "output" in arrays:
            whole.lm_head.load_state_dict({"weight": arrays["output"]})
    return whole, tokenizer


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        raise ConfigError(
            f"Expected `trunk.path` to be a folder with one {pattern} file (llama2.c format), but "
            f"'{folder}' has {len(found)}."
        )
    return found[0]


def _find_weights(folder: Path) -> Path:
    """The one ``.bin`` whose size fits its own header; a tokenizer's ``.bin`` does not."""
    candidates = sorted(folder.glob("*.bin"))
    found = [path for path in candidates if _fits_its_header(path)]
    if not found:
        raise ConfigError(
            f"Expected `trunk.path` to be a folder with a llama2.c model, but none of the "
            f"{len(candidates)} .bin files in '{folder}' has the size that its header states."
        )
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ConfigError(
            f"Expected `trunk.path` to be a folder with one llama2.c model, but '{folder}' has "
            f"{len(found)}: {names}; move all but one of them elsewhere."
        )
    return found[0]


def _fits_its_header(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HEADER.size)
    if len(head) < HEADER.size:
        return False
    shape = HEADER.unpack(head)
    return min(shape[:5]) > 0 and path.stat().st_size == HEADER.size + 4 * _count(shape)


def _sizes(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = shape
    size = dim // heads
    sizes: dict[str, tuple[int, ...]] = {
        "embedding": (abs(vocabulary), dim),
        "attention_norm": (layers, dim),
        "q": (layers, dim, dim),
        "k": (layers, kv_heads * size, dim),
        "v": (layers, kv_heads * size, dim),
        "o": (layers, dim, dim),
        "mlp_norm": (layers, dim),
        "gate": (layers, hidden, dim),
        "down": (layers, dim, hidden),
        "up": (layers, hidden, dim),
        "final_norm": (dim,),
        "cosines": (positions, size // 2),
        "sines": (positions, size // 2),
    }
    if vocabulary < 0:
        sizes["output"] = (-vocabulary, dim)
    return sizes


def _count(shape: tuple[int, ...]) -> int:
    return sum(int(np.prod(s)) for s in _sizes(shape).values())


def _read(path: Path) -> tuple[Any, dict[str, Tensor]]:
    from transformers import LlamaConfig

    data = path.read_bytes()
    shape = HEADER.unpack_from(data)
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = shape
    flat = torch.from_numpy(np.frombuffer(data, dtype="<f4", offset=HEADER.size).copy())
    arrays: dict[str, Tensor] = {}
    at = 0
    for name, size in _sizes(shape).items():
        count = int(np.prod(size))
        arrays[name] = flat[at : at + count].reshape(size)
        at += count
    config = LlamaConfig(
        hidden_size=dim,
        intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=abs(vocabulary),
        max_position_embeddings=positions,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=vocabulary > 0,
    )
    return config, arrays


def _state(config: Any, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    state = {"embed_tokens.weight": arrays["embedding"], "norm.weight": arrays["final_norm"]}
    for n in range(config.num_hidden_layers):
        at = f"layers.{n}."
        state[at + "input_layernorm.weight"] = arrays["attention_norm"][n]
        state[at + "self_attn.q_proj.weight"] = _split_halves(arrays["q"][n], heads)
        state[at + "self_attn.k_proj.weight"] = _split_halves(arrays["k"][n], kv_heads)
        state[at + "self_attn.v_proj.weight"] = arrays["v"][n]
        state[at + "self_attn.o_proj.weight"] = arrays["o"][n]
        state[at + "post_attention_layernorm.weight"] = arrays["mlp_norm"][n]
        state[at + "mlp.gate_proj.weight"] = arrays["gate"][n]
        state[at + "mlp.down_proj.weight"] = arrays["down"][n]
        state[at + "mlp.up_proj.weight"] = arrays["up"][n]
    return state


def _split_halves(weight: Tensor, heads: int) -> Tensor:
    """Reorder rows so that rotary pairs (2i, 2i + 1) of a head become (i, i + size / 2)."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns)
