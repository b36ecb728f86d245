"""What training logs every few steps: losses, gradient norm, rates, shares and speed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from mtl.metrics.names import metric_name
from mtl.training.checkpoint import State
from mtl.training.ranks import gathered, total
from mtl.training.running import Running, Taken
from mtl.types import Step


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
        self._running = Running(list(self.weights))
        self._kept: State | None = None

    def start(self, trainer: L.Trainer) -> None:
        """Start from nothing, or from what the run that this one continues had summed up."""
        self._running = Running(list(self.weights))
        if self._kept is not None:
            device = trainer.strategy.root_device
            self._running.load(self._kept, trainer.global_rank, trainer.world_size, device)

    def add(
        self, step: Step, losses: Mapping[str, Tensor], norm: Tensor, parts: Mapping[str, Tensor]
    ) -> None:
        """Count one step; see :class:`mtl.training.running.Taken`."""
        self._running.add(step, losses, norm, parts)

    def new(self) -> list[Taken]:
        """Return the steps that nobody has looked at yet; from now on somebody has."""
        return self._running.new()

    def due(self, number: int) -> bool:
        """Return whether a step, counted from 1, is logged."""
        return number % self.every == 0 or number == self.steps

    def pause(self) -> None:
        """Stop the clock that speed is measured with."""
        self._running.pause()

    def go_on(self) -> None:
        """Let the clock run on."""
        self._running.go_on()

    def write(
        self, trainer: L.Trainer, number: int, optimizer: Optimizer, more: Mapping[str, float]
    ) -> None:
        """Log the steps since the last log, and start anew; all ranks must.

        Args:
            trainer: Whose loggers get it.
            number: The latest step, counted from 1.
            optimizer: Whose rates are logged.
            more: What else to log.
        """
        found, self._running = self._running.finish(), Running(list(self.weights))
        losses = found.losses(partial(total, trainer))
        tokens, shares = _read(trainer, found)
        logs = {metric_name("train", name, "loss"): loss for name, loss in losses.items()}
        weighted = [self.weights[name] * loss for name, loss in losses.items()]
        logs[metric_name("train", None, "loss")] = sum(weighted)
        logs[metric_name("train", None, "grad_norm")] = float(found.steps[-1].norm)
        logs[metric_name("train", None, "tokens_per_second")] = tokens / found.seconds
        logs[metric_name("train", None, "examples_per_second")] = found.examples / found.seconds
        for name, share in shares.items():
            logs[metric_name("train", name, "share")] = share
        for group in optimizer.param_groups:
            logs[metric_name("train", group["name"], "lr")] = group["lr"]
        self.latest = {**logs, **more}
        log_metrics(trainer, self.latest, number)

    def state(self, trainer: L.Trainer) -> State:
        """Return the sums since the last log as plain data; all ranks must ask."""
        return self._running.state(partial(gathered, trainer))

    def load_state(self, state: State | None) -> None:
        """Begin with what :meth:`state` returned, when training starts."""
        self._kept = state


def _read(trainer: L.Trainer, found: Running) -> tuple[float, dict[str, float]]:
    """Return the tokens, and each task's share of the examples, that all ranks read."""
    counts = [found.tokens, *(found.read.get(name, 0) for name in found.names)]
    device = trainer.strategy.root_device
    local = torch.tensor(counts, dtype=torch.float32, device=device)
    tokens, *examples = total(trainer, local).tolist()
    everything = max(1.0, sum(examples))
    pairs = zip(found.names, examples, strict=True)
    return tokens, {name: count / everything for name, count in pairs if count}


def log_metrics(trainer: L.Trainer, logs: Mapping[str, float], step: int) -> None:
    """Give metrics to all loggers."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(logs), step=step)
