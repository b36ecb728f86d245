"""States of a trunk's inner layers, beside those of its last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mtl.trunk.tuning.base import layer_list

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class InnerLayers:
    """Notes what some layers give while a model runs; other layers' states are not kept.

    Args:
        model: With layers that can be told apart.
        numbers: Of the layers, counted from 1; each below the last one's.
    """

    def __init__(self, model: PreTrainedModel, numbers: Sequence[int]) -> None:
        self.numbers = list(numbers)
        owner, layers = layer_list(model)
        self._owner = owner
        self._layers = layers
        self._noted: dict[int, Tensor] | None = None
        for number in self.numbers:
            # Of a method, so that a copy of the trunk notes in its own copy of this.
            layers[number - 1].register_forward_hook(partial(self._note, number))

    def _note(self, number: int, module: nn.Module, given: Any, found: Any) -> None:
        if self._noted is not None:
            self._noted[number] = found[0] if isinstance(found, tuple) else found

    def beside(self, run: Callable[[], Tensor]) -> Tensor:
        """Return what a run of the model gives, and beside it each layer's states.

        Args:
            run: Returns the last states, (..., D).

        Returns:
            (..., D * (1 + layers)), the last states first.
        """
        noted: dict[int, Tensor] = {}
        self._noted = noted
        try:
            last = run()
        finally:
            self._noted = None
        parts = [noted[number].reshape(last.shape) for number in self.numbers]
        return torch.cat([last, *parts], dim=-1)

    def above(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that no task needs which reads the lowest of these layers alone."""
        for layer in self._layers[self.numbers[0] :]:
            yield from layer.parameters()
        for name, module in self._owner.named_children():
            if "norm" in name or name.startswith("ln_f"):
                yield from module.parameters()
