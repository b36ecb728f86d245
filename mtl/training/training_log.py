"""What training logs every few steps: losses, gradient norm, rates, shares and speed.

The sums since the last log are part of a checkpoint, so that a resumed run logs what one never
stopped would.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from mtl.metrics.names import metric_name
from mtl.training.checkpoint import State
from mtl.training.ranks import gathered, total
from mtl.types import Step

N = TypeVar("N", int, float)
TOKENS, COMPUTED = "tokens", "computed"


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


class TrainingLog:
    """Sums up steps and logs them.

    Args:
        weights: Task to its weight, in the order of the losses.
        every: Steps between two logs.
        steps: Of the whole run: the last is logged, too.
    """

    def __init__(self, weights: Mapping[str, float], every: int, steps: int) -> None:
        self.weights = dict(weights)
        self.every = every
        self.steps = steps
        self.latest: dict[str, float] = {}
        """The latest log, by full name."""
        self._kept: State | None = None
        self._begin(time.perf_counter())

    def _begin(self, now: float) -> None:
        self._taken: list[Taken] = []
        self._judged = 0
        """How many of them are known to be finite, or left out."""
        self._examples = 0
        self._tokens = dict.fromkeys((TOKENS, COMPUTED), 0)
        """Real tokens of this rank's passes, and those that they computed, padding included."""
        self._read = dict.fromkeys(self.weights, 0)
        """Task to the examples that this rank read."""
        self._long = dict.fromkeys(self.weights, 0)
        """Task to the tokens of those."""
        self._start = self._paused = now

    def start(self, trainer: L.Trainer) -> None:
        """Start from nothing, or from what the run that this one continues had summed up."""
        self._begin(time.perf_counter())
        kept = self._kept
        if kept is not None and kept["names"] == list(self.weights) and self._fits(kept):
            self._load(kept, trainer)

    def add(
        self, step: Step, losses: Mapping[str, Tensor], norm: Tensor, parts: Mapping[str, Tensor]
    ) -> None:
        """Count one step; see :class:`Taken` for what is kept."""
        zero = torch.zeros((), device=norm.device)
        row = torch.stack([losses[n].float() if n in losses else zero for n in self.weights])
        present = [name in step.denominators for name in self.weights]
        self._taken.append(Taken(step.number + 1, row, norm.detach().float(), present, parts))
        self._examples += step.examples
        for micro_batch in step.micro_batches:
            self._tokens[TOKENS] += micro_batch.source.tokens
            self._tokens[COMPUTED] += micro_batch.source.tokens_with_padding
            for name, part in micro_batch.heads.items():
                self._read[name] += len(part.examples)
                self._long[name] += sum(example.length for example in part.encoded)

    def new(self) -> list[Taken]:
        """Return the steps that nobody has looked at yet; from now on somebody has."""
        found = self._taken[self._judged :]
        self._judged = len(self._taken)
        return found

    def due(self, number: int) -> bool:
        """Return whether a step, counted from 1, is logged."""
        return number % self.every == 0 or number == self.steps

    def pause(self) -> None:
        """Stop the clock that speed is measured with."""
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        """Let the clock run on."""
        self._start += time.perf_counter() - self._paused

    def write(
        self, trainer: L.Trainer, number: int, optimizer: Optimizer, more: Mapping[str, float]
    ) -> None:
        """Log the steps since the last log, and start anew; all ranks must.

        Args:
            trainer: Whose ranks and loggers these are.
            number: The step's, counted from 1.
            optimizer: For the rates.
            more: What else to log, by full name.
        """
        now = time.perf_counter()
        seconds = max(now - self._start, 1e-9)
        losses = self._losses(trainer)
        counts = torch.tensor(self._counts(), dtype=torch.float32)
        found = total(trainer, counts.to(trainer.strategy.root_device)).tolist()
        (tokens, computed), read, long = self._sorted(found)
        logs = {metric_name("train", name, "loss"): loss for name, loss in losses.items()}
        weighted = [self.weights[name] * loss for name, loss in losses.items()]
        logs[metric_name("train", None, "loss")] = sum(weighted)
        logs[metric_name("train", None, "grad_norm")] = float(self._taken[-1].norm)
        logs[metric_name("train", None, "tokens_per_second")] = tokens / seconds
        logs[metric_name("train", None, "examples_per_second")] = self._examples / seconds
        logs[metric_name("train", None, "padding")] = 1 - tokens / computed if computed else 0.0
        logs[metric_name("train", None, "memory_gb")] = peak_memory(trainer.strategy.root_device)
        for name, count, size in zip(self.weights, read, long, strict=True):
            if count:
                logs[metric_name("train", name, "share")] = count / sum(read)
                logs[metric_name("train", name, "token_share")] = size / sum(long)
        for group in optimizer.param_groups:
            logs[metric_name("train", group["name"], "lr")] = group["lr"]
        self.latest = {**logs, **more}
        self._begin(now)
        log_metrics(trainer, self.latest, number)

    def _counts(self) -> list[int]:
        return [*self._tokens.values(), *self._read.values(), *self._long.values()]

    def _sorted(self, counts: list[N]) -> tuple[list[N], list[N], list[N]]:
        """Return what :meth:`_counts` put together: of all tasks, then examples and tokens."""
        first, tasks = len(self._tokens), len(self.weights)
        return counts[:first], counts[first : first + tasks], counts[first + tasks :]

    def _losses(self, trainer: L.Trainer) -> dict[str, float]:
        """Return each task's mean loss over the steps that had rows of it and were not left out."""
        table = (
            total(trainer, torch.stack([s.losses for s in self._taken])).double().cpu()
        )  # (S, T)
        good = torch.stack([s.norm for s in self._taken]).isfinite().cpu()
        counts = torch.tensor([s.present for s in self._taken]) & good[:, None]
        sums = table.where(counts, 0.0).sum(dim=0)
        pairs = zip(self.weights, sums.tolist(), counts.sum(dim=0).tolist(), strict=True)
        return {name: loss / count for name, loss, count in pairs if count}

    def state(self, trainer: L.Trainer) -> State:
        """Return the sums since the last log as plain data; all ranks must ask."""
        found = {
            "names": list(self.weights),
            "counts": gathered(trainer, torch.tensor(self._counts())).cpu(),
            "examples": self._examples,
            "seconds": time.perf_counter() - self._start,
        }
        if self._taken:
            found["numbers"] = [s.number for s in self._taken]
            found["present"] = [s.present for s in self._taken]
            found["losses"] = gathered(trainer, torch.stack([s.losses for s in self._taken])).cpu()
            found["norms"] = torch.stack([s.norm for s in self._taken]).cpu()
        return found

    def load_state(self, state: State | None) -> None:
        """Begin with what :meth:`state` returned, when training starts."""
        self._kept = state

    def _fits(self, state: State) -> bool:
        """Return whether a state has the sums of this version."""
        return int(state["counts"].shape[1]) == len(self._counts())

    def _load(self, state: State, trainer: L.Trainer) -> None:
        parts = self._sorted(_share(state["counts"], trainer).tolist())
        for sums, part in zip((self._tokens, self._read, self._long), parts, strict=True):
            sums.update(zip(sums, part, strict=True))
        self._examples = state["examples"]
        self._start = time.perf_counter() - state["seconds"]
        if "numbers" in state:
            device = trainer.strategy.root_device
            losses = _share(state["losses"], trainer).to(device)
            norms = state["norms"].to(device)
            rows = zip(state["numbers"], losses, norms, state["present"], strict=True)
            self._taken = [Taken(*row) for row in rows]
            self._judged = len(self._taken)


def _share(table: Tensor, trainer: L.Trainer) -> Tensor:
    """Return this rank's row; where there were more or fewer ranks, the first takes all."""
    if len(table) == trainer.world_size:
        return table[trainer.global_rank]
    everything = table.sum(dim=0)
    return everything if trainer.is_global_zero else torch.zeros_like(everything)


def log_metrics(trainer: L.Trainer, logs: Mapping[str, float], step: int) -> None:
    """Give metrics to all loggers."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(logs), step=step)


def peak_memory(device: torch.device) -> float:
    """Return the most memory so far, in GB: of the GPU's allocator, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 1e9
