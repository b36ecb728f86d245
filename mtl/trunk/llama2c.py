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

HEADER = struct.Struct("7i")


def load_llama2c(
    folder: Path, *, pretrained: bool = True, dropout: float | None = None
) -> tuple[nn.Module, Any]:
    """Return (LlamaModel in float32, fast tokenizer) from a llama2.c folder.

    Args:
        folder: Holds one ``.bin`` with the header above, and one SentencePiece ``.model``.
        pretrained: False keeps the shape and starts from random weights.
        dropout: Attention dropout, the only one Llama has.

    Raises:
        ConfigError: If a file is missing or its size does not fit its header.
    """
    from transformers import LlamaModel

    tokenizer = sentencepiece_bpe(_only(folder, "*.model"))
    weights = _find_weights(folder)
    config, arrays = _read(weights)
    config.attention_dropout = dropout or 0.0
    model = LlamaModel(config).float()
    if pretrained:
        model.load_state_dict(_state(config, arrays), strict=True)
    return model, tokenizer


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
    for path in candidates:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
        if len(head) < HEADER.size:
            continue
        shape = HEADER.unpack(head)
        if min(shape[:5]) > 0 and path.stat().st_size == HEADER.size + 4 * _count(shape):
            return path
    raise ConfigError(
        f"Expected `trunk.path` to be a folder with a llama2.c model, but none of the "
        f"{len(candidates)} .bin files in '{folder}' has the size that its header states."
    )


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


def sentencepiece_bpe(path: Path) -> Any:
    """Return a fast tokenizer for a SentencePiece BPE model with byte fallback.

    Raises:
        ConfigError: If the file is no SentencePiece model.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = _pieces(path)
    vocabulary = {piece: i for i, (piece, _) in enumerate(pieces)}
    model = models.BPE(
        vocab=vocabulary,
        merges=_merges(pieces, vocabulary),
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Prepend("▁"),
            normalizers.Replace(" ", "▁"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def _pieces(path: Path) -> list[tuple[str, float]]:
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ConfigError(
            "Reading SentencePiece models needs another package: pip install 'mtl[sentencepiece]'."
        ) from error
    try:
        processor = SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ConfigError(
            f"Expected `trunk.path` to hold a SentencePiece model, but '{path}' is none."
        ) from error
    size = processor.get_piece_size()
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(size)]


def _merges(pieces: list[tuple[str, float]], vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces, the best-scored pieces first."""
    merges = []
    for piece, score in pieces:
        if piece.startswith("<") and piece.endswith(">"):
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary:
                merges.append((-score, vocabulary[left], vocabulary[right], left, right))
    return [(left, right) for *_, left, right in sorted(merges)]
