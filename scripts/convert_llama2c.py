"""Write a decoder in llama2.c's format as a Hugging Face folder, for ``trunk=hf trunk.path=DEST``.

    python scripts/convert_llama2c.py FOLDER DEST

FOLDER holds one ``.bin``, seven int32 and then float32 weights, and one SentencePiece ``.model``.
The header is ``dim, hidden, layers, heads, kv_heads, vocabulary, positions``; a negative
vocabulary means that the output matrix is stored too. Rotary pairs are neighbours there and
half a head apart in transformers, so query and key rows are reordered.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl.errors import ConfigError, MtlError

HEADER = struct.Struct("7i")


def main(argv: Sequence[str]) -> int:
    """Convert what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="with one .bin and one SentencePiece .model")
    parser.add_argument("dest", type=Path, help="the folder that is written")
    given = parser.parse_args(argv)
    try:
        convert(given.folder, given.dest)
    except MtlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Train on it with: trunk=hf trunk.path={given.dest}")
    return 0


def convert(folder: Path, dest: Path) -> None:
    """Write the model and tokenizer of a llama2.c folder as transformers stores them.

    Args:
        folder: Holds one ``.bin`` with the header above, and one SentencePiece ``.model``.
        dest: Made if it is not there.

    Raises:
        ConfigError: If a file is missing, its size does not fit its header, or the tokenizer has
            more pieces than the model has embeddings.
    """
    from transformers import LlamaForCausalLM

    tokenizer = sentencepiece_bpe(_only(folder, "*.model"))
    weights = _find_weights(folder)
    config, arrays = _read(weights)
    if len(tokenizer) > config.vocab_size:
        raise ConfigError(
            f"Expected a model and its own tokenizer, but in '{folder}' the tokenizer has "
            f"{len(tokenizer)} pieces and {weights.name} has {config.vocab_size}."
        )
    whole = LlamaForCausalLM(config).float()
    whole.base_model.load_state_dict(_state(config, arrays), strict=True)
    if "output" in arrays:
        whole.lm_head.load_state_dict({"weight": arrays["output"]})
    whole.save_pretrained(dest)
    tokenizer.save_pretrained(dest)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        raise ConfigError(
            f"Expected a folder with one {pattern} file (llama2.c format), but '{folder}' has "
            f"{len(found)}."
        )
    return found[0]


def _find_weights(folder: Path) -> Path:
    """The one ``.bin`` whose size fits its own header; a tokenizer's ``.bin`` does not."""
    candidates = sorted(folder.glob("*.bin"))
    found = [path for path in candidates if _fits_its_header(path)]
    if not found:
        raise ConfigError(
            f"Expected a folder with a llama2.c model, but none of the "
            f"{len(candidates)} .bin files in '{folder}' has the size that its header states."
        )
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ConfigError(
            f"Expected a folder with one llama2.c model, but '{folder}' has "
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


def sentencepiece_bpe(path: Path) -> Any:
    """Return a fast tokenizer for a SentencePiece BPE model with byte fallback.

    Raises:
        ConfigError: If the file is no SentencePiece model.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    processor = _processor(path)
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(len(processor))]
    vocabulary = {piece: i for i, (piece, _) in enumerate(pieces)}
    model = models.BPE(
        vocab=vocabulary,
        merges=_merges(pieces, vocabulary),
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    prepend = [normalizers.Prepend("▁")] if _prepends(processor) else []
    collapse = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(collapse if _collapses(processor) else []),
            *prepend,
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


def _prepends(processor: Any) -> bool:
    """Whether a text is read as if a space stood before it."""
    return bool(processor.encode("a", out_type=str)[0].startswith("▁"))


def _collapses(processor: Any) -> bool:
    """Whether outer spaces go and several are one: as llama2.c trains, and Llama does not."""
    return bool(processor.encode(" a  a ") == processor.encode("a a"))


def _processor(path: Path) -> Any:
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ConfigError(
            "Reading SentencePiece models needs another package: pip install 'mtl[sentencepiece]'."
        ) from error
    try:
        return SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"Expected a SentencePiece model, but '{path}' is none.") from error


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
