"""Tiny random models and tokenizers, made on the spot."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtl.types import IntArray

CORPUS = [
    "Ines Talbot left Brackwater before the rain, and nobody at the Lantern asked why.",
    "The council will vote on Thursday; two members have said they won't attend.",
    "Don't call it a failure: the pump ran for 1,204 hours at 3.5 bar.",
    "Tea, bread, and a letter from Okonkwo & Sons were waiting on the table.",
    "He said that the river had been lower in 1976 than in any year since.",
    "Was the museum open? It was not, but the garden behind it was lovely.",
]


def frequent(words: Sequence[str], size: int) -> list[tuple[str, bool, int]]:
    """Return the commonest pieces of words, whether each stands inside a word, and its count.

    Single characters come first, and all of them. Trainers of WordPiece and Unigram give other
    vocabularies in every process; this depends on the words alone.
    """
    counts = Counter(
        (word[start:end], start > 0)
        for word in words
        for start in range(len(word))
        for end in range(start + 1, min(len(word), start + 6) + 1)
    )
    rank = {k: (len(k[0].lstrip("▁")) > 1, -count * len(k[0]), k) for k, count in counts.items()}
    ranked = sorted(counts, key=rank.__getitem__)
    return [(text, inside, counts[text, inside]) for text, inside in ranked[:size]]


def bpe_tokenizer() -> Any:
    """Byte-level BPE, as GPT-2 has it: no special tokens, no padding token, no prefix space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    return fast(tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def wordpiece_tokenizer() -> Any:
    """WordPiece, as BERT has it: ``[CLS] text [SEP]``, lower case."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = re.findall(r"\w+|[^\w\s]", " ".join(CORPUS).lower())
    pieces = [("##" if place else "") + text for text, place, _ in frequent(words, 195)]
    vocabulary = {piece: i for i, piece in enumerate([*special, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return fast(
        tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def metaspace_tokenizer() -> Any:
    """Unigram over ``▁`` pieces, as SentencePiece has it: ``<s> text``; pads with the end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    counts: Counter[str] = Counter()
    for piece, _, count in frequent(["▁" + w for w in " ".join(CORPUS).split()], 200):
        counts[piece] += count
    total = counts.total()
    special = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)]
    vocabulary = [*special, *((p, math.log(n / total)) for p, n in list(counts.items())[:147])]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return fast(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>")


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "bpe": bpe_tokenizer,
    "wordpiece": wordpiece_tokenizer,
    "metaspace": metaspace_tokenizer,
}


def fast(tokenizer: Any, **special: str) -> Any:
    """Wrap a `tokenizers` tokenizer the way transformers saves it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special
    )


def shape(**changes: Any) -> dict[str, Any]:
    """Sizes that most configurations share: 2 layers, 2 heads, 16 wide."""
    common = {
        "vocab_size": 400,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    }
    return {**common, **changes}


def tiny_model(config: Any, seed: int = 0) -> Any:
    """Build a base model whose random weights are large enough for every difference to show."""
    from transformers import AutoModel

    torch.manual_seed(seed)
    return loud(AutoModel.from_config(config).eval())


def loud(model: Any) -> Any:
    """Give a model random weights that are large enough for every difference to show."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save_tiny(folder: Path, config: Any, tokenizer: Any, seed: int = 0) -> Path:
    """Write a model folder with random weights and `tokenizer`."""
    tiny_model(config, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ints(*values: int) -> IntArray:
    """Return token ids, or places, as the package holds them."""
    return np.asarray(values, dtype=np.int32)


def llama_config(**changes: Any) -> Any:
    """Return the smallest Llama."""
    from transformers import LlamaConfig

    return LlamaConfig(**shape(num_key_value_heads=1, **changes))
