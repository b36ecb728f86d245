"""Keys and values of documents that a pass of a decoder has read, for texts that go on from there.

A pass for a model's heads computes all that writing after a document needs of it; without it, the
document would be read again as the beginning of a prompt. Shapes: B rows, T tokens a row, n kept
tokens, N texts, W columns, H heads, D a head's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl.types import Kept

if TYPE_CHECKING:
    from transformers import Cache, PretrainedConfig

_Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (n, H, D) each."""


def empty_cache(config: PretrainedConfig) -> Cache:
    """Return what takes the keys and values of a decoder's pass."""
    from transformers import DynamicCache

    return DynamicCache(config=config)


class Recalled(NamedTuple):
    """Where a document's keys and values are."""

    layers: _Layers
    """Of all documents that were kept from its pass."""
    start: int


class Recall:
    """Holds documents from the pass that reads them until the last text after them is written."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], Recalled] = {}

    def keep(self, cache: Cache, unit: Tensor, documents: Sequence[Kept]) -> None:
        """Keep some documents of a pass.

        Args:
            cache: The pass's, with keys and values (B, H, T, D); or (1, H, N, D) of the N tokens
                that are not padding, where the pass had none.
            unit: The pass's, (B, T): -1 is padding.
            documents: By their places in the pass.
        """
        width = cache.layers[0].keys.shape[2]
        places = np.concatenate([np.arange(d.start, d.start + d.length) for d in documents])
        if width != unit.shape[1]:
            places = ((unit.flatten() >= 0).cumsum(0) - 1).cpu().numpy()[places]
        rows, columns = (torch.from_numpy(part) for part in np.divmod(places, width))
        layers = [
            (_read(layer.keys, rows, columns), _read(layer.values, rows, columns))
            for layer in cache.layers
        ]
        start = 0
        for document in documents:
            self._found.update((reader, Recalled(layers, start)) for reader in document.readers)
            start += document.length

    def take(self, task: str, examples: Sequence[int]) -> list[Recalled]:
        """Return the documents of a task's examples, and hold them no longer."""
        return [self._found.pop((task, example)) for example in examples]


def _read(states: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the states (n, H, D) of some tokens."""
    return states[rows.to(states.device), :, columns.to(states.device)]


def fill(cache: Cache, documents: Sequence[Recalled], sizes: Sequence[int], repeats: int) -> None:
    """Write the beginnings of documents into an empty cache, to the right of its columns.

    Args:
        cache: Of layers that look at everything.
        documents: One a row.
        sizes: How many tokens of each; W is the most.
        repeats: Rows of each document, one after another.
    """
    width = max(sizes)
    stores = list({id(d.layers): d.layers for d in documents}.values())
    first = np.cumsum([0, *(len(layers[0][0]) for layers in stores[:-1])])
    begin = {id(layers): at for layers, at in zip(stores, first.tolist(), strict=True)}
    index = np.zeros((len(documents), width), dtype=np.int64)
    for row, (document, size) in enumerate(zip(documents, sizes, strict=True)):
        at = begin[id(document.layers)] + document.start
        index[row, width - size :] = np.arange(at, at + size)
    device = stores[0][0][0].device
    places = torch.from_numpy(index).repeat_interleave(repeats, dim=0).to(device)
    for number, parts in enumerate(zip(*stores, strict=True)):
        keys, values = (
            torch.cat(part)[places].transpose(1, 2) for part in zip(*parts, strict=True)
        )
        cache.update(keys, values, number)
