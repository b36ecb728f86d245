"""Write text: documents and prompts in, continuations out, through transformers' `generate`.

Shapes: B rows, T tokens a row.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mtl.config.section import Field, Flag, Number, Section, Whole
from mtl.layout import Unit, build_rows
from mtl.trunk.recall import Recalled, empty_cache, fill
from mtl.trunk.streaming import Pieces, PieceStreamer
from mtl.trunk.text import end_id, pad_id
from mtl.trunk.trunk import Trunk
from mtl.types import Array, IntArray

if TYPE_CHECKING:
    from transformers import Cache, GenerationConfig, PreTrainedModel


class Decoding(Section):
    """How text is written; the names are those of transformers' `generate`."""

    max_new_tokens: Whole = Field(64, ge=1)
    """Most tokens that are written."""
    min_new_tokens: Whole = Field(0, ge=0)
    """Fewest tokens that are written."""
    num_beams: Whole = Field(1, ge=1)
    """Beams that are searched; 1 takes the likeliest token at each step."""
    num_return_sequences: Whole = Field(1, ge=1)
    """Texts of each document, the best first; at most as many as beams unless it samples."""
    do_sample: Flag = False
    """Draw tokens from their probabilities."""
    temperature: Number = Field(1.0, gt=0)
    """When sampling: below 1 favors likely tokens."""
    top_k: Whole | None = Field(None, ge=1)
    """When sampling: only so many of the likeliest tokens."""
    top_p: Number | None = Field(None, gt=0, le=1)
    """When sampling: only the likeliest tokens that together have this probability."""
    no_repeat_ngram_size: Whole = Field(0, ge=0)
    """No sequence of so many tokens is written twice; 0 allows all."""
    length_penalty: Number = 1.0
    """Of beams: above 0 favors long texts, below 0 short ones."""


class Hypothesis(NamedTuple):
    """A text that was written, as token ids without the end token, and a beam's score."""

    ids: IntArray
    score: float | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is read before writing: a document, and a branch that is continued."""

    document: IntArray
    branch: IntArray
    bidirectional: bool = False

    def __len__(self) -> int:
        return len(self.document) + len(self.branch)


def generate(
    trunk: Trunk,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    projection: nn.Module | None = None,
    seed: int | None = None,
    read: Sequence[Recalled] | None = None,
    pieces: Pieces | None = None,
) -> list[list[Hypothesis]]:
    """Continue every prompt; all of them are one batch.

    Args:
        trunk: With its output layer.
        prompts: All read alike: causally, or with documents that see all of themselves.
        decoding: Search, sampling and limits.
        projection: Scores the vocabulary in place of the trunk's own output layer.
        seed: What is drawn follows from it and from the prompts alone, and the global generator
            stays as it is; when None, it draws from the global one.
        read: The prompts' documents, where a trunk that :attr:`~Trunk.keeps` has read them
            causally; they are not read again.
        pieces: Told of each text as it is written, if each prompt has one and no beams are
            searched.

    Returns:
        For each prompt, its hypotheses, the best first.
    """
    assert trunk.output is not None, "the trunk was loaded without its output layer"
    model = trunk.output.model
    prepare = _read_both if trunk.architecture == "encoder-decoder" else _read_one
    drawing = contextlib.nullcontext() if seed is None else _seeded(seed, prompts, _device(trunk))
    single = _rows(decoding) == 1
    with torch.no_grad(), _projecting(model, projection), _evaluating(trunk), drawing:
        arguments, start = prepare(trunk, prompts, decoding, read)
        found = model.generate(
            **arguments,
            generation_config=configuration(
                trunk,
                decoding,
                return_dict_in_generate=True,
                output_scores=decoding.num_beams > 1,  # With beams' come those of every step.
            ),
            logits_processor=_processors(decoding, start),
            streamer=PieceStreamer(trunk.tokenizer, pieces) if pieces and single else None,
        )
    scores = found.sequences_scores.tolist() if decoding.num_beams > 1 else None
    texts = [_trim(ids, trunk) for ids in found.sequences[:, start:].cpu().numpy()]
    each = decoding.num_return_sequences
    flat = [Hypothesis(ids, scores[i] if scores else None) for i, ids in enumerate(texts)]
    return [flat[at : at + each] for at in range(0, len(flat), each)]


def configuration(trunk: Trunk, decoding: Decoding, **more: object) -> GenerationConfig:
    """Return what transformers' `generate` is told of how a trunk writes.

    Args:
        trunk: With its tokens of start, end and padding.
        decoding: Search, sampling and limits, but repeated n-grams: see :func:`_processors`.
        **more: Other arguments of the configuration.
    """
    from transformers import GenerationConfig

    asked = {k: v for k, v in decoding.model_dump().items() if v is not None}
    if not decoding.do_sample:
        for key in ("temperature", "top_k", "top_p"):
            asked.pop(key, None)
    if decoding.num_beams == 1:
        del asked["length_penalty"]
    del asked["no_repeat_ngram_size"]
    return GenerationConfig(
        **asked,
        eos_token_id=end_id(trunk.tokenizer),
        pad_token_id=pad_id(trunk.tokenizer),
        decoder_start_token_id=trunk.start,
        **more,
    )


def _processors(decoding: Decoding, start: int) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """Return what forbids tokens, where something is forbidden.

    transformers' own option also counts what a decoder reads, so that a summary could not quote
    its document, and the padding of a batch; here only what is written counts.
    """
    from transformers import NoRepeatNGramLogitsProcessor

    if not decoding.no_repeat_ngram_size:
        return []
    forbid = NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size)
    return [lambda ids, scores: forbid(ids[:, start:], scores)]


def _read_both(
    trunk: Trunk, prompts: Sequence[Prompt], decoding: Decoding, read: Sequence[Recalled] | None
) -> tuple[dict[str, object], int]:
    """Return arguments for an encoder-decoder; every branch is its start token."""
    del decoding, read
    documents, mask = _padded(trunk, [p.document for p in prompts], left=False)
    branches, _ = _padded(trunk, [p.branch for p in prompts], left=True)
    arguments: dict[str, object] = {
        "input_ids": documents,
        "attention_mask": mask,
        "decoder_input_ids": branches,
    }
    return arguments, branches.shape[1]


def _read_one(
    trunk: Trunk, prompts: Sequence[Prompt], decoding: Decoding, read: Sequence[Recalled] | None
) -> tuple[dict[str, object], int]:
    """Return arguments for a decoder: rows padded on the left, whatever its tokenizer does."""
    ids, mask = _padded(trunk, [np.concatenate([p.document, p.branch]) for p in prompts], left=True)
    arguments: dict[str, object] = {"input_ids": ids, "attention_mask": mask}
    if any(p.bidirectional for p in prompts):
        arguments["past_key_values"] = _prefix(trunk, prompts, ids.shape[1], decoding)
    elif read is not None:
        arguments["past_key_values"] = _recalled(trunk, prompts, decoding, read)
    return arguments, ids.shape[1]


def _recalled(
    trunk: Trunk, prompts: Sequence[Prompt], decoding: Decoding, read: Sequence[Recalled]
) -> Cache:
    """Return the cached states of documents, but for as many tokens as the longest branch has.

    So `generate` reads the same columns of every row: its branch, and where that is shorter than
    another, the document's last tokens again.
    """
    cache = empty_cache(trunk.config)
    again = max(1, *(len(p.branch) for p in prompts))
    sizes = [max(0, len(p) - again) for p in prompts]
    if any(sizes):
        fill(cache, read, sizes, _rows(decoding))
    return cache


def _prefix(trunk: Trunk, prompts: Sequence[Prompt], width: int, decoding: Decoding) -> Cache:
    """Return the cached states of all but the last token, of documents that see all of themselves.

    `generate` itself reads causally; it goes on from these.
    """
    units = [Unit(p.document, [p.branch], p.bidirectional) for p in prompts]
    batch = build_rows([[u] for u in units], pad_id(trunk.tokenizer), bidirectional=False).batch
    shifts = [width - len(p) for p in prompts]

    def left(values: Tensor, fill: int) -> Tensor:
        rolled = [row.roll(by) for row, by in zip(values, shifts, strict=True)]
        for row, by in zip(rolled, shifts, strict=True):
            row[:by] = fill
        return torch.stack(rolled)[:, :-1]

    batch.input_ids = left(batch.input_ids, pad_id(trunk.tokenizer))
    batch.position_ids = left(batch.position_ids, 0)
    batch.unit = left(batch.unit, -1)
    batch.segment = left(batch.segment, 0)
    batch.bidirectional = left(batch.bidirectional, 0)
    batch = batch.to(_device(trunk))
    cache = empty_cache(trunk.config)
    trunk.model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids + trunk.capabilities.position_offset,
        attention_mask=trunk.mask(batch),
        past_key_values=cache,
        use_cache=True,
    )
    if _rows(decoding) > 1:
        cache.batch_repeat_interleave(_rows(decoding))
    return cache


def _rows(decoding: Decoding) -> int:
    """Return how many rows `generate` makes of a prompt."""
    return max(decoding.num_beams, decoding.num_return_sequences)


def _padded(trunk: Trunk, parts: Sequence[IntArray], *, left: bool) -> tuple[Tensor, Tensor]:
    """Return ids and mask, each of shape (B, T)."""
    width = max(map(len, parts))
    ids = np.full((len(parts), width), pad_id(trunk.tokenizer), dtype=np.int64)
    mask = np.zeros((len(parts), width), dtype=np.int64)
    for row, part in enumerate(parts):
        cut = slice(width - len(part), None) if left else slice(0, len(part))
        ids[row, cut], mask[row, cut] = part, 1
    device = _device(trunk)
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def _trim(ids: Array, trunk: Trunk) -> IntArray:
    """Return what stands before the end token."""
    end = np.flatnonzero(ids == end_id(trunk.tokenizer))
    return np.asarray(ids[: end[0]] if len(end) else ids, dtype=np.int32)


def _device(trunk: Trunk) -> torch.device:
    return next(trunk.model.parameters()).device


@contextlib.contextmanager
def _projecting(model: PreTrainedModel, projection: nn.Module | None) -> Iterator[None]:
    """Let a model score its vocabulary with other weights for a while."""
    own = model.get_output_embeddings()
    if projection is not None:
        model.set_output_embeddings(projection)
    try:
        yield
    finally:
        model.set_output_embeddings(own)


@contextlib.contextmanager
def _seeded(seed: int, prompts: Sequence[Prompt], device: torch.device) -> Iterator[None]:
    """Draw from a generator of these prompts' own for a while."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=7)
    for prompt in prompts:
        for ids in (prompt.document, prompt.branch):
            digest.update(len(ids).to_bytes(4, "little"))
            digest.update(np.ascontiguousarray(ids, dtype=np.int32).tobytes())
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int.from_bytes(digest.digest(), "little"))
        yield


@contextlib.contextmanager
def _evaluating(trunk: Trunk) -> Iterator[None]:
    # The trunk's mode counts: the model around it is none of its modules.
    assert trunk.output is not None
    was_training = trunk.training
    trunk.output.model.eval()
    try:
        yield
    finally:
        trunk.output.model.train(was_training)
