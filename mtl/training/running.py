"""What training logs sum up between two logs: losses, shares, and how fast it went.

The sums are part of a checkpoint, so that a resumed run logs what one never stopped would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtl.training.checkpoint import State
from mtl.types import Step


class Taken(NamedTuple):
    """What is kept of one step."""

    number: int
    """Counted from 1."""
    losses: Tensor
    """(T,) this rank's part of each task's loss; 0 where it has no rows."""
    norm: Tensor
    """() of the whole gradient, the same on all ranks; not finite where the step was left out."""
    present: list[bool]
    """(T,) whether any rank had rows of the task."""
    parts: Mapping[str, Tensor] = {}
    """() of the gradient of the trunk and of each head, by what they are called; empty where the
    whole is known to be finite."""


class Running:
    """Sums since the last training log.

    Args:
        names: The tasks, in the order of the losses.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.steps: list[Taken] = []
        self.judged = 0
        """How many of them are known to be finite, or left out."""
        self.tokens = 0
        self.examples = 0
        self.read: dict[str, int] = {}
        self.start = self.paused = time.perf_counter()
        self.seconds = 0.0

    def add(
        self,
        step: Step,
        losses: Mapping[str, Tensor],
        norm: Tensor,
        parts: Mapping[str, Tensor],
    ) -> None:
        """Count one step; see :class:`Taken` for what is kept."""
        zero = torch.zeros((), device=norm.device)
        row = torch.stack([losses[n].float() if n in losses else zero for n in self.names])
        present = [name in step.denominators for name in self.names]
        self.steps.append(Taken(step.number + 1, row, norm.detach().float(), present, parts))
        self.examples += step.examples
        for micro_batch in step.micro_batches:
            self.tokens += micro_batch.source.tokens
            for name, part in micro_batch.heads.items():
                self.read[name] = self.read.get(name, 0) + len(part.examples)

    def pause(self) -> None:
        """Do not count the time from now on."""
        self.paused = time.perf_counter()

    def go_on(self) -> None:
        """Count the time again."""
        self.start += time.perf_counter() - self.paused

    def new(self) -> list[Taken]:
        """Return the steps that nobody has looked at yet; from now on somebody has."""
        found = self.steps[self.judged :]
        self.judged = len(self.steps)
        return found

    def finish(self) -> Running:
        """Stop the clock for good."""
        self.seconds = max(time.perf_counter() - self.start, 1e-9)
        return self

    def losses(self, total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Return each task's mean loss over the steps that had rows of it and were not left out.

        Args:
            total: Sums a tensor over the ranks.
        """
        table = total(torch.stack([s.losses for s in self.steps])).double().cpu()  # (S, T)
        good = torch.stack([s.norm for s in self.steps]).isfinite().cpu()
        counts = torch.tensor([s.present for s in self.steps]) & good[:, None]
        sums = table.where(counts, 0.0).sum(dim=0)
        pairs = zip(self.names, sums.tolist(), counts.sum(dim=0).tolist(), strict=True)
        return {name: loss / count for name, loss, count in pairs if count}

    def state(self, gather: Callable[[Tensor], Tensor]) -> State:
        """Return everything as plain data.

        Args:
            gather: From a tensor of each rank to one of all, (ranks, ...).
        """
        device = self.steps[0].norm.device if self.steps else None
        counts = [self.tokens, *(self.read.get(name, 0) for name in self.names)]
        found = {
            "names": list(self.names),
            "counts": gather(torch.tensor(counts, device=device)).cpu(),
            "examples": self.examples,
            "seconds": time.perf_counter() - self.start,
        }
        if self.steps:
            found["numbers"] = [s.number for s in self.steps]
            found["present"] = [s.present for s in self.steps]
            found["losses"] = gather(torch.stack([s.losses for s in self.steps])).cpu()
            found["norms"] = torch.stack([s.norm for s in self.steps]).cpu()
        return found

    def load(self, state: State, rank: int, world: int, device: torch.device) -> None:
        """Take back what :meth:`state` returned; from other ranks' sums, if there were others."""
        if state["names"] != self.names:
            return
        self.tokens, *read = _share(state["counts"], rank, world).tolist()
        self.read = {n: count for n, count in zip(self.names, read, strict=True) if count}
        self.examples = state["examples"]
        self.start = time.perf_counter() - state["seconds"]
        if "numbers" in state:
            losses = _share(state["losses"], rank, world).to(device)
            norms = state["norms"].to(device)
            rows = zip(state["numbers"], losses, norms, state["present"], strict=True)
            self.steps = [Taken(*row) for row in rows]
            self.judged = len(self.steps)


def _share(table: Tensor, rank: int, world: int) -> Tensor:
    """Return this rank's row; where there were more or fewer ranks, the first takes all."""
    if len(table) == world:
        return table[rank]
    everything = table.sum(dim=0)
    return everything if rank == 0 else torch.zeros_like(everything)
