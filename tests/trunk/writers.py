"""Tiny models with an output layer, and what they write when asked one token at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtl.config.schema import TrunkConfig
from mtl.layout import Unit, build_rows
from mtl.trunk.generate import Prompt
from mtl.trunk.load import load_trunk
from mtl.trunk.text import end_id
from mtl.trunk.trunk import Trunk
from tests.helpers import bpe_tokenizer, loud, wordpiece_tokenizer
from tests.trunk.families import APART, DECODERS, ENCODERS, FAMILIES

WRITERS = [*DECODERS, *APART, "t5"]
"""Every family that has an output layer."""


def save_writer(folder: Path, config: Any, tokenizer: Any, seed: int = 0) -> Path:
    """Write the folder of a language model with random weights, and `tokenizer`."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    two = config.is_encoder_decoder
    family: Any = AutoModelForSeq2SeqLM if two else AutoModelForCausalLM
    torch.manual_seed(seed)
    model = loud(family.from_config(config))
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load_writer(
    name: str,
    folder: Path,
    *,
    tokenizer: Callable[[], Any] | None = None,
    attention: str = "causal",
    **changes: Any,
) -> Trunk:
    """Load a family's trunk with its output layer, in evaluation mode.

    Args:
        name: The family.
        folder: Where its folder is written.
        tokenizer: Makes the tokenizer; the family's usual one when None.
        attention: Of its documents.
        changes: Of its configuration.
    """
    config = FAMILIES[name]()
    for key, value in changes.items():
        setattr(config, key, value)
    make = tokenizer or (wordpiece_tokenizer if name in ENCODERS else bpe_tokenizer)
    path = save_writer(folder / name, config, make())
    return load_trunk(
        TrunkConfig(name="hf", path=str(path), attention=attention), writes=True
    ).eval()


def prompts(trunk: Trunk, sizes: tuple[int, ...] = (4, 9, 6), seed: int = 0) -> list[Prompt]:
    """Return documents of some lengths, each with a branch, of random ids."""
    rng = np.random.default_rng(seed)

    def ids(count: int) -> Any:
        return rng.integers(5, 199, count).astype(np.int32)

    start = None if trunk.start is None else np.asarray([trunk.start], dtype=np.int32)
    bidirectional = trunk.attention == "bidirectional" and trunk.architecture == "decoder"
    return [Prompt(ids(n), ids(3) if start is None else start, bidirectional) for n in sizes]


def likeliest(trunk: Trunk, prompt: Prompt, count: int) -> list[int]:
    """Return what greedy search writes: a whole pass of the trunk for every token, no cache."""
    branch = list(prompt.branch)
    written: list[int] = []
    end = end_id(trunk.tokenizer)
    for _ in range(count):
        unit = Unit(prompt.document, [np.asarray(branch, dtype=np.int32)], prompt.bidirectional)
        batch = build_rows([[unit]], 0, bidirectional=False).batch
        assert trunk.output is not None
        with torch.no_grad():
            token = int(trunk.output(trunk(batch)[-1:])[0].argmax())
        if token == end:
            break
        written.append(token)
        branch.append(token)
    return written
