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
    loaded: LoadedModel,
    pair: str | None = None,
    before: IntArray | None = None,
    *,
    beside: bool = False,
) -> Any:
    """Return a tokenizer for an export.

    It puts the space before a text that our encoder puts there, the special tokens around one text
    or two, pads on the right with a token that no text has, and cuts texts at our window.

    Args:
        loaded: The model.
        pair: The task whose two texts it joins; it is for one text when None.
        before: Tokens that stand before each text.
        beside: Whether a second text stands behind the first as its branch, told by token types.
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
    elif beside:
        between = encoder.suffix[:0] if len(encoder.suffix) else newline_tokens(theirs)
        backend.post_processor = _template(encoder, "between", between)
    elif before is not None and len(before):
        backend.post_processor = _template(encoder, "before", before)
    special = {key: str(value) for key in KEPT if (value := getattr(theirs, key, None)) is not None}
    special["pad_token"] = _pad(encoder)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=encoder.max_length,
        model_input_names=[*GIVEN, *(["token_type_ids"] if beside else [])],
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


def _template(encoder: TextEncoder, name: str, ids: IntArray) -> Any:
    """Return what puts tokens ``before`` each text, or ``between`` it and a branch behind it."""
    from tokenizers.processors import TemplateProcessing

    parts = {"begin": encoder.prefix, name: ids, "end": encoder.suffix}
    known = {part: own.tolist() for part, own in parts.items() if len(own)}

    def present(*names: str) -> list[str]:
        return [part for part in names if part.partition(":")[0] in known or "$" in part]

    return TemplateProcessing(
        single=present("begin", "before", "$A", "end"),
        pair=present("begin", "before", "$A", "end", "between:1", "$B:1", "end:1"),
        special_tokens=[
            {"id": part, "ids": own, "tokens": encoder.tokenizer.convert_ids_to_tokens(own)}
            for part, own in known.items()
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
