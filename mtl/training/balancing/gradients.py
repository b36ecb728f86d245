"""Each task's own gradient of shared parameters: a row a task, over all passes and ranks of a step.

A step that needs them has passes of one task each, one task after the other, so that an ordinary
backward pass of each is a part of one row: no graph is kept for a second backward pass, whatever
the trunk is made of, and the tokens are computed once unless tasks share documents. Parameters that
are not compared, heads among them, add up as always.

Shapes: K tasks, P numbers in the shared parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn

from mtl.config.schema import BalancingConfig, Config
from mtl.errors import ConfigError, Problem
from mtl.metrics.names import metric_name
from mtl.training.balancing.base import BALANCINGS, Balancing, Moment, method_options
from mtl.training.model import seed_torch
from mtl.training.ranks import total
from mtl.trunk import Trunk
from mtl.trunk.tuning import adapters, layer_list


def steps_by_task(cfg: Config, steps: int) -> Callable[[int], bool]:
    """Return whether a step, counted from 0, is to have passes of one task each.

    Those are in which a method needs tasks' own gradients, and those whose conflict is logged.

    Args:
        cfg: The run's configuration.
        steps: Of the whole run.
    """
    method: Any = BALANCINGS.get(cfg.balancing.name)
    by_task, options = getattr(method, "by_task", False), method_options(cfg.balancing)
    compares_at = getattr(method, "compares_at", Balancing.compares_at)
    conflict, every = cfg.balancing.conflict, cfg.trainer.log_every_n_steps

    def apart(step: int) -> bool:
        logged = conflict and ((step + 1) % every == 0 or step + 1 == steps)
        return logged or (by_task and bool(compares_at(step, options)))

    return apart


def shared_parameters(trunk: Trunk, section: BalancingConfig) -> list[nn.Parameter]:
    """Return the parameters of the trunk that tasks are compared on.

    Raises:
        ConfigError: If none of them learns, or there are not so many layers.
    """
    modules: list[nn.Module] = [trunk]
    if section.parameters == "last":
        layers = layer_list(trunk.model)[1]
        if section.layers > len(layers):
            expected = f"to be at most {len(layers)}, the layers of the trunk"
            raise ConfigError(Problem("balancing.layers", expected, f"got {section.layers}"))
        modules = list(layers[len(layers) - section.layers :])
    elif section.parameters == "adapters":
        modules = [cast(nn.Module, layer) for layer in adapters(trunk.model).values()]
    found = {p: None for module in modules for p in module.parameters() if p.requires_grad}
    if not found:
        advice = "Choose balancing.parameters=trunk"
        advice += ", or tuning=lora." if modules == [] else ", or let those learn by tuning=full."
        expected = "to be parameters of the trunk that learn"
        got = f"got {section.parameters}, of which none does"
        raise ConfigError(Problem("balancing.parameters", expected, got, advice))
    return list(found)


class TaskGradients:
    """The rows of one step.

    Args:
        shared: The parameters that tasks are compared on.
        others: All others that learn.
        trainer: Whose ranks they are added up over.
        lengths: Whether the rows' lengths and sum will do: a row is then added up as soon as it is
            whole, so that there is room for one of them and the sum, however many tasks there are.
    """

    def __init__(
        self,
        shared: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        trainer: Callable[[], L.Trainer],
        *,
        lengths: bool = False,
    ) -> None:
        self.shared = list(shared)
        self.others = list(others)
        self.size = sum(p.numel() for p in self.shared)
        """P."""
        self.tasks: list[str] = []
        self.rows = torch.zeros(0, 0)
        """(K, P); where lengths will do, (2, P): the row that is made, and the others' sum."""
        self._trainer = trainer
        self._lengths: list[Tensor] | None = [] if lengths else None

    def room(self, tasks: int) -> tuple[int, int]:
        """Return the shape of the rows of a step with so many tasks."""
        return (tasks if self._lengths is None else 2, self.size)

    def begin(self, tasks: Sequence[str]) -> None:
        """Start a step from zero."""
        self.tasks = list(tasks)
        self.rows = torch.zeros(self.room(len(tasks)), device=self.shared[0].device)
        if self._lengths is not None:
            self._lengths = []

    @contextmanager
    def of(self, task: str | None) -> Iterator[None]:
        """Let backward passes add to a task's row; of a task without a row nothing is kept.

        Where lengths will do, tasks follow each other as they were given to :meth:`begin`.
        """
        if task in self.tasks:
            place = self.tasks.index(task)
            self._add_up(place)
            self.put(self.rows[place if self._lengths is None else 0])
        yield
        for parameter in self.shared:
            parameter.grad = None

    def put(self, gradient: Tensor) -> None:
        """Let (P,) numbers be the gradient of the shared parameters."""
        parts = gradient.split([p.numel() for p in self.shared])
        for parameter, part in zip(self.shared, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def _add_up(self, place: int) -> None:
        """Add up the rows of the tasks before a place, where lengths will do; all ranks must."""
        if self._lengths is None:
            return
        assert len(self._lengths) <= place
        while len(self._lengths) < place:
            row = self._mean(self.rows[0])
            self._lengths.append(row.norm())
            self.rows[1] += row
            self.rows[0].zero_()

    def _mean(self, values: Tensor) -> Tensor:
        trainer = self._trainer()
        return values if trainer.world_size == 1 else total(trainer, values) / trainer.world_size

    def reduce(self) -> None:
        """Take the mean of all gradients over ranks, as DDP does; all ranks must."""
        trainer = self._trainer()
        self._add_up(len(self.tasks))
        if trainer.world_size == 1:
            return
        if self._lengths is None:
            self.rows = self._mean(self.rows)
        for parameter in self.others:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        grads = [p.grad.flatten() for p in self.others if p.grad is not None]
        found = total(trainer, torch.cat(grads)) / trainer.world_size
        parts = found.split([p.numel() for p in self.others])
        for parameter, part in zip(self.others, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    @property
    def lengths(self) -> Tensor:
        """(K,) of the rows."""
        if self._lengths is None:
            return self.rows.norm(dim=1)
        return torch.stack(self._lengths) if self._lengths else self.rows.new_zeros(0)

    def sum(self) -> Tensor:
        """Return (P,) the sum of all rows."""
        return self.rows.sum(dim=0) if self._lengths is None else self.rows[1]

    def conflict(self) -> dict[str, float]:
        """Return each row's norm, and the cosine of each two, by full name.

        A pair's cosine is under the name of the task that comes first.
        """
        lengths = self.lengths
        with whole_precision(self.rows):
            cosines = (self.rows @ self.rows.T / (lengths[:, None] * lengths)).tolist()
        norms, found = lengths.tolist(), {}
        for k, (name, norm) in enumerate(zip(self.tasks, norms, strict=True)):
            found[metric_name("train", name, "trunk_grad_norm")] = norm
            for other in range(k + 1, len(self.tasks)):
                if norm and norms[other]:
                    metric = f"cosine_{self.tasks[other]}"
                    found[metric_name("train", name, metric)] = cosines[k][other]
        return found


def combined(balancing: Balancing, gradients: TaskGradients, moment: Moment) -> Tensor:
    """Return (P,) the gradient that a balancing makes of the tasks' own.

    Of one task alone, or of numbers that are not finite, there is nothing to make: the sum says so.
    """
    lengths = gradients.lengths
    if len(lengths) < 2 or not lengths.isfinite().all():
        return gradients.sum()
    if balancing.by_length:
        balancing.measure(lengths, moment)
        return gradients.sum()
    seed_torch(moment.seed, "balancing", moment.step)
    with whole_precision(gradients.rows):
        return balancing.aggregate(gradients.rows, moment)


def whole_precision(rows: Tensor) -> torch.autocast:
    """Return a context in which products of rows keep float32, also in a bf16-mixed step.

    Half of it would lose what methods compare, and their solvers do not take it.
    """
    return torch.autocast(rows.device.type, enabled=False)
