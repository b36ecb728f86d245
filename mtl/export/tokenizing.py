"""A tokenizer that turns texts into our tokens when it is called as transformers' users call it."""

from __future__ import annotations

from typing import Any

from mtl.training.model_io import LoadedModel
from mtl.trunk.text import TextEncoder, newline_tokens, pair_tokens
from mtl.types import IntArray

GIVEN = ["input_ids", "attention_mask"]
"""What it returns; our trunks are given no token types."""
KEPT = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def our_tokenizer(
    loaded: LoadedModel, pair: str | None = None, before: IntArray | None = None
) -> Any:
    """Return a tokenizer for an export.

    It puts the space before a text that our encoder puts there, the special tokens around one text
    or two, pads on the right with a token that no text has, and cuts texts at our window.

    Args:
        loaded: The model.
        pair: The task whose two texts it joins; it is for one text when None.
        before: Tokens that stand before each text.
    """
    from tokenizers import Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    encoder = loaded.encoder
    theirs = encoder.tokenizer
    backend = Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    if encoder.prefix_space:
        own = [] if backend.normalizer is None else [backend.normalizer]
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(" "), *own])
    if pair is not None:
        causal = loaded.attention(pair) == "causal"
        backend.post_processor = _joined(encoder, causal=causal)
    elif before is not None and len(before):
        backend.post_processor = _led(encoder, before)
    special = {key: str(value) for key in KEPT if (value := getattr(theirs, key, None)) is not None}
    special["pad_token"] = _pad(encoder)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=encoder.max_length,
        model_input_names=GIVEN,
        padding_side="right",
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        **special,
    )


def _pad(encoder: TextEncoder) -> str:
    """Return a token to pad with: one that stands in no text that is read."""
    tokenizer = encoder.tokenizer
    around = {*encoder.prefix.tolist(), *encoder.suffix.tolist()}
    for key in ("pad_token", "eos_token", "unk_token"):
        token = getattr(tokenizer, key, None)
        if token is not None and tokenizer.convert_tokens_to_ids(token) not in around:
            return str(token)
    return str(tokenizer.convert_ids_to_tokens(0))


def _led(encoder: TextEncoder, before: IntArray) -> Any:
    """Return what puts tokens before each text, inside the special tokens around it."""
    from tokenizers.processors import TemplateProcessing

    parts = {"begin": encoder.prefix, "before": before, "end": encoder.suffix}
    known = {name: ids.tolist() for name, ids in parts.items() if len(ids)}
    return TemplateProcessing(
        single=[name for name in ("begin", "before", "$A", "end") if name in known or "$" in name],
        special_tokens=[
            {"id": name, "ids": ids, "tokens": encoder.tokenizer.convert_ids_to_tokens(ids)}
            for name, ids in known.items()
        ],
    )


def _joined(encoder: TextEncoder, *, causal: bool) -> Any:
    """Return what joins two texts as the joint layout of span extraction has it."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = encoder.tokenizer
    before, between, after = pair_tokens(tokenizer)
    if not len(after) and (causal or not len(before)):
        after = newline_tokens(tokenizer)
    names: dict[str, int] = {}

    def named(ids: IntArray) -> list[str]:
        found = [str(tokenizer.convert_ids_to_tokens(int(i))) for i in ids]
        names.update(zip(found, ids.tolist(), strict=True))
        return found

    one = [*named(encoder.prefix), "$A", *named(encoder.suffix)]
    two = [*named(before), "$A", *named(between), "$B", *named(after)]
    return TemplateProcessing(single=one, pair=two, special_tokens=sorted(names.items()))
