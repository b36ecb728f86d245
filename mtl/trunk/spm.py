"""Turn SentencePiece models into fast tokenizers, which know character offsets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtl.errors import ConfigError


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
        raise ConfigError(
            f"Expected `trunk.path` to hold a SentencePiece model, but '{path}' is none."
        ) from error


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
