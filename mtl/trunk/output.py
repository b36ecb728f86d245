"""The trunk's output layer: hidden states to scores over its vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOLERANCE = 1e-4


class OutputLayer:
    """What a language model does after its last layer, for chosen positions only.

    Some models scale the states before the projection (T5), add a bias to the logits (BART), scale
    them (Cohere, Granite) or bound them (Gemma 2). `exact` says whether the result was found to
    equal the model's own.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.projection: nn.Linear = model.get_output_embeddings()
        self.exact = _equals_its_model(self)

    @property
    def vocabulary(self) -> int:
        """How many tokens V there are."""
        return len(self.projection.weight)

    def __call__(self, states: Tensor, projection: nn.Module | None = None) -> Tensor:
        """Return (N, V) logits for (N, D) states, by the projection given or the model's own."""
        config = self.model.config
        if getattr(config, "scale_decoder_outputs", False):
            states = states * self.model.model_dim**-0.5
        logits = (projection or self.projection)(states)
        if hasattr(config, "logit_scale"):
            logits = logits * config.logit_scale
        if hasattr(config, "logits_scaling"):
            logits = logits / config.logits_scaling
        bias = getattr(self.model, "final_logits_bias", None)
        if bias is not None:
            logits = logits + bias.to(logits.dtype)
        most = getattr(config, "final_logit_softcapping", None)
        return logits if most is None else torch.tanh(logits / most) * most


def _equals_its_model(output: OutputLayer) -> bool:
    """Compare with the model's own logits on a few tokens."""
    model = output.model
    was_training = model.training
    model.eval()
    ids = torch.arange(4, 9)[None].to(next(model.parameters()).device)
    both = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    try:
        with torch.no_grad():
            wanted = model(input_ids=ids, use_cache=False, **both).logits
            found = output(_states(model, ids))
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False
    finally:
        model.train(was_training)
    scale = wanted.abs().mean().clamp_min(1.0)
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= TOLERANCE * scale)


def _states(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Return the states (1, n, D) that the model projects."""
    if not model.config.is_encoder_decoder:
        return model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    read = model.get_encoder()(input_ids=ids).last_hidden_state
    written = model.get_decoder()(input_ids=ids, encoder_hidden_states=read, use_cache=False)
    return written.last_hidden_state
