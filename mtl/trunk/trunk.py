"""The trunk: any transformer, seen as tokens to hidden states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from mtl.errors import ConfigError
from mtl.trunk import two_sided
from mtl.trunk.blocks import attend_in_blocks, flatten
from mtl.trunk.masks import additive, visible
from mtl.trunk.output import OutputLayer
from mtl.trunk.schedule import TuningSchedule
from mtl.trunk.text import TextEncoder, pad_id
from mtl.types import CachedStates, TrunkBatch

if TYPE_CHECKING:
    from transformers import Cache, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from mtl.trunk.inner import InnerLayers

Architecture = Literal["decoder", "encoder", "encoder-decoder"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model's forward was found to do right."""

    share_rows: bool = True
    """Several units, or several branches, may stand in one row, kept apart by the mask."""
    can_attend_bidirectionally: bool = True
    """A mask can let a decoder's document see all of itself."""
    positions: bool = True
    """The forward takes `position_ids`."""
    position_offset: int = 0
    """First position id (RoBERTa counts from its padding id plus one)."""
    window: int | None = None
    """Sliding window, in tokens."""
    window_by_layer: bool = False
    """The model takes one mask for its full and one for its sliding layers."""
    blocks: bool = False
    """On a CPU, its attention may run block by block; see :mod:`mtl.trunk.blocks`."""


class Trunk(nn.Module):
    """A pretrained transformer without any task in it.

    Args:
        model: A Hugging Face base model, whose output has `last_hidden_state`.
        architecture: ``decoder``, ``encoder`` or ``encoder-decoder``.
        capabilities: How the model wants its masks and positions.
        attention: ``causal`` or ``bidirectional``: the default for a decoder's documents.
        tokenizer: The model's tokenizer; kept for saving and for generation.
        writer: The same model with its language-modeling head, where a task writes text.
        start: The token that every branch of an encoder-decoder begins with.

    For encoder-decoders, a document's states are the encoder's and a branch's the decoder's.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        architecture: Architecture,
        capabilities: Capabilities,
        attention: str,
        tokenizer: PreTrainedTokenizerFast,
        writer: PreTrainedModel | None = None,
        start: int | None = None,
    ) -> None:
        super().__init__()
        self.model: PreTrainedModel = model
        self.architecture: Architecture = architecture
        self.capabilities = capabilities
        self.attention = attention if architecture == "decoder" else "bidirectional"
        self.tokenizer = tokenizer
        self.start = start
        self.tuning = TuningSchedule()
        """What changes in it from step to step, beside its weights."""
        self.readers: tuple[str, ...] = ()
        """Tasks that have an adapter each, with which their documents are read."""
        self.inner: InnerLayers | None = None
        """Layers whose states stand beside the last one's."""
        self.output = None if writer is None else OutputLayer(writer)
        # Its weights are the model's own where both are tied, and learn with it where not.
        self.projection = None if self.output is None else self.output.projection

    @property
    def share_branches(self) -> bool:
        """Whether several branches may read one encoding of their document."""
        return self.architecture == "encoder-decoder" or self.capabilities.share_rows

    def part_time(self) -> list[nn.Parameter]:
        """Return the parameters that a pass without branches, or without texts to learn, skips.

        They are those of the output layer, and of an encoder-decoder's decoder, which the rest
        does not share; of layers above one that a task reads; and tasks' own adapters.
        """
        embeddings = self.model.get_input_embeddings()
        parts = [] if self.projection is None else [self.projection]
        always = embeddings
        if self.architecture == "encoder-decoder":
            always = self.model.get_encoder()
            parts += [self.model.get_decoder(), embeddings]  # T5 untied embeds in both its own.
        busy = {id(p) for p in always.parameters()}
        found = {id(p): p for module in parts for p in module.parameters()}
        above = [] if self.inner is None else list(self.inner.above())
        own = [p for p in self.model.parameters() if p.requires_grad] if self.readers else []
        return [*(p for key, p in found.items() if key not in busy), *above, *own]

    def read_for(self, task: str) -> None:
        """Let what follows read with a task's own adapter, where tasks have one each."""
        if self.readers:
            for module in self.model.modules():
                if hasattr(module, "_active_adapter"):
                    module._active_adapter = task

    @property
    def positions(self) -> int | None:
        """How many tokens in a row the model has positions for; None if there is no limit."""
        limit = getattr(self.config, "max_position_embeddings", None)
        limit = getattr(self.config, "n_positions", limit)
        if not isinstance(limit, int) or limit <= 0:
            return None
        return limit - self.capabilities.position_offset

    def text_encoder(self, max_length: int, stride: int, *, prefix_space: bool) -> TextEncoder:
        """Return what turns texts into this trunk's tokens; see :class:`TextEncoder`."""
        return TextEncoder(
            self.tokenizer,
            max_length,
            stride,
            prefix_space=prefix_space,
            architecture=self.architecture,
            start=self.start,
            positions=self.positions,
            embeddings=self.model.get_input_embeddings().num_embeddings,
        )

    @property
    def config(self) -> PretrainedConfig:
        """The model's own configuration."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """Size D of a hidden state."""
        return int(self.config.hidden_size)

    @property
    def width(self) -> int:
        """Size of a state with those of inner layers beside it."""
        return self.hidden_size * (1 if self.inner is None else 1 + len(self.inner.numbers))

    def forward(self, batch: TrunkBatch | CachedStates, cache: Cache | None = None) -> Tensor:
        """Return the hidden states of every token, shape (B * T, D), row after row.

        Where inner layers are read, D is :attr:`width`, and the last layer's states come first.

        Args:
            batch: One pass, or the states that it would give.
            cache: An empty one of transformers', which takes a decoder's keys and values.

        Raises:
            ConfigError: If a document is to be read bidirectionally and the model cannot.
        """
        if isinstance(batch, CachedStates):
            return batch.states
        if self.architecture == "encoder-decoder":
            pad = pad_id(self.tokenizer) if self.tokenizer is not None else 0
            return two_sided.run(self.model, batch, self._run, pad)
        return self._run(batch, cache).flatten(0, 1)

    @property
    def keeps(self) -> bool:
        """Whether a text can go on from the keys and values of a causal document in a pass."""
        from transformers.cache_utils import DynamicCache, DynamicLayer

        if self.architecture != "decoder" or not self.capabilities.share_rows or self.readers:
            return False  # Or a text of one task would go on from what another's adapter read.
        layers = DynamicCache(config=self.config).layers
        return all(type(layer) is DynamicLayer for layer in layers)  # Others forget, or sum up.

    def _run(self, batch: TrunkBatch, cache: Cache | None = None) -> Tensor:
        """Run the model, or its encoder; returns (B, T, D)."""
        if self.capabilities.blocks and batch.input_ids.device.type == "cpu":
            padded = bool((batch.unit != 0).any())  # Or a mask is needed, which blocks do without.
            if padded or not (batch.plain or _one_document_a_row(batch)):
                return self._run_in_blocks(batch, cache)
        arguments = self.arguments(batch, cache)
        mask = self.mask(batch)
        if mask is not None:
            arguments["attention_mask"] = mask
        body = self.model.get_encoder() if self.architecture == "encoder-decoder" else self.model
        return self.beside(lambda: body(**arguments).last_hidden_state)

    def beside(self, run: Callable[[], Tensor]) -> Tensor:
        """Run the model; returns its last states, and inner layers' beside them."""
        return run() if self.inner is None else self.inner.beside(run)

    def arguments(self, batch: TrunkBatch, cache: Cache | None) -> dict[str, object]:
        """Return what the model's forward takes beside a mask."""
        arguments: dict[str, object] = {"input_ids": batch.input_ids}
        if self.capabilities.positions:
            arguments["position_ids"] = batch.position_ids + self.capabilities.position_offset
        if self.architecture == "decoder":
            arguments["use_cache"] = cache is not None
        if cache is not None:
            arguments["past_key_values"] = cache
        return arguments

    def _run_in_blocks(self, batch: TrunkBatch, cache: Cache) -> Tensor:
        """Run the model without padding; returns (B, T, D), with zeros where padding is."""
        self._check_direction(batch)
        causal, window = self.architecture == "decoder", self.capabilities.window
        flat = flatten(batch, self.dtype, causal=causal, window=window)
        arguments = self.arguments(flat.tokens, cache)
        states = self.beside(lambda: attend_in_blocks(self.model, flat.blocks, arguments))
        found = states.new_zeros(batch.input_ids.numel(), states.shape[-1])
        return found.index_copy(0, flat.places, states).view(*batch.input_ids.shape, -1)

    def mask(self, batch: TrunkBatch) -> Tensor | dict[str, Tensor] | None:
        """Return the cheapest mask that is right: none, one of (B, T), or one of (B, 1, T, T)."""
        if batch.plain and self.architecture == "decoder":
            return None
        self._check_direction(batch)
        causal = self.architecture == "decoder"
        if not causal and (not self.capabilities.share_rows or _one_document_a_row(batch)):
            return None if bool((batch.unit >= 0).all()) else (batch.unit >= 0).long()
        return self.dense_mask(batch)

    def dense_mask(self, batch: TrunkBatch) -> Tensor | dict[str, Tensor]:
        """Return a mask of (B, 1, T, T), or one for each kind of layer."""
        causal = self.architecture == "decoder"
        window, dtype = self.capabilities.window, self.dtype
        full = additive(visible(batch, causal_branches=causal), dtype)
        if window is None:
            return full
        sliding = additive(visible(batch, causal_branches=causal, window=window), dtype)
        if self.capabilities.window_by_layer:
            return {"full_attention": full, "sliding_attention": sliding}
        return sliding

    def _check_direction(self, batch: TrunkBatch) -> None:
        if not self.capabilities.can_attend_bidirectionally and bool(batch.bidirectional.any()):
            raise ConfigError(
                f"Expected the attention of every task to be causal, but got bidirectional: the "
                f"tokens of a {self.config.model_type} model cannot see what comes after them."
            )

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights; masks are made in it."""
        return next(self.model.parameters()).dtype


def _one_document_a_row(batch: TrunkBatch) -> bool:
    return bool((batch.unit <= 0).all()) and bool((batch.segment == 0).all())
