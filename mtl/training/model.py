"""One trunk, a registry of heads, and the tasks that use them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl.data.plan import generator
from mtl.heads.base import Head
from mtl.tasks import Task
from mtl.trunk import Trunk
from mtl.types import MicroBatch


class MultiTaskModel(nn.Module):
    """A trunk and its heads; one pass answers every task in a batch.

    Args:
        trunk: The shared transformer.
        tasks: With their labels learned or loaded.
        heads: By head name; see :func:`build_heads`.
    """

    def __init__(self, trunk: Trunk, tasks: Sequence[Task], heads: nn.ModuleDict) -> None:
        super().__init__()
        self.trunk = trunk
        self.tasks = {t.name: t for t in tasks}
        self.heads = heads

    def head(self, task: str) -> Head:
        """Return the head that `task` uses."""
        found = self.heads[self.tasks[task].head_name]
        assert isinstance(found, Head)
        return found

    def forward(self, batch: MicroBatch) -> dict[str, Tensor]:
        """Return logits (G, C) of every task in the batch, after one pass of the trunk."""
        hidden = self.trunk(batch.trunk)
        return {name: self.head(name)(part.read(hidden)) for name, part in batch.heads.items()}


def build_heads(tasks: Sequence[Task], hidden_size: int, seed: int) -> nn.ModuleDict:
    """Return fresh heads by name, and give tasks that share one head its labels.

    Each head's weights depend on the seed and its own name alone, so that another head beside it
    changes nothing.

    Raises:
        ConfigError: If tasks name one head but need different ones.
    """
    users: dict[str, list[Task]] = {}
    for task in tasks:
        users.setdefault(task.head_name, []).append(task)
    heads = nn.ModuleDict()
    for name, (first, *others) in users.items():
        if others:
            state = first.shared_state(others)
            for task in (first, *others):
                task.load_state({**task.state(), **state})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(seed, "head", name).integers(2**63 - 1)))
            heads[name] = first.build_head(hidden_size)
    return heads
