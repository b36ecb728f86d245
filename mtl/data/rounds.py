"""Rounds: stretches of a run in which the shares of the tasks do not change.

A round is an epoch; where shares follow validations, it is what lies between two of them. All of it
follows from the configuration and the history, a list of what validations have decided, so that a
resumed run plans what the unbroken one does. The number of steps never depends on the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mtl.config.schema import StageConfig
from mtl.config.section import Values
from mtl.data.mixing import Changing, Mixer, Moment
from mtl.data.orders import Order


class Round(NamedTuple):
    """Some steps with the same shares."""

    number: int
    first: int
    """Its first step."""
    steps: int
    quota: dict[str, int]
    """Examples of each task."""
    begun: dict[str, int]
    """How many examples of each task came before it."""
    owed: dict[str, float]
    """How many more of each task the shares so far would have had, which whole steps have not."""


class Decision(NamedTuple):
    """What a validation has decided."""

    step: int
    """After how many steps."""
    scores: dict[str, float]
    left: list[str]
    """Tasks that have left the mixture by then."""


class _Stage(NamedTuple):
    tasks: list[str]
    steps: int
    """Of one of its epochs."""
    end: int | None
    """The step after its last; None where it lasts until the run ends."""


class Rounds:
    """All rounds of a run, planned as far as they are asked for.

    Args:
        sizes: Examples of each task.
        mixer: Sizes to examples an epoch.
        order: How an epoch's examples become steps.
        examples: The most of a step.
        stages: Tasks that are trained one after the other, or together; all at once when empty.
        epochs: Of the run.
        steps: Of the run; wins over epochs if set.
        every: Steps between validations, where shares follow them; an epoch's when 0.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        mixer: Mixer,
        order: Order,
        *,
        examples: int,
        stages: Sequence[StageConfig] = (),
        epochs: int = 1,
        steps: int | None = None,
        every: int | None = None,
    ) -> None:
        self.sizes = dict(sizes)
        self.mixer, self.order, self.examples = mixer, order, examples
        self.steps_per_epoch = self._steps(list(sizes))
        self._stages: list[_Stage] = []
        end, left = 0, epochs
        for stage in stages or [StageConfig(tasks=list(sizes))]:
            length = self._steps(stage.tasks)
            own = stage.epochs if stage.epochs is not None else left
            end, left = end + own * length, left - own
            closed = None if stage.epochs is None else end
            self._stages.append(_Stage(stage.tasks, length, closed))
        self.total = steps or end
        self.every = None if every is None else min(every or self.steps_per_epoch, self.total)
        self.history: list[Decision] = []
        self._known: list[Round] = []

    def _steps(self, tasks: Sequence[str]) -> int:
        quota = self.mixer({task: self.sizes[task] for task in tasks})
        return max(1, self.order.fill(quota, self.examples)[0])

    def decide(self, decision: Decision) -> None:
        """Let a validation change the shares of the steps after it."""
        self.history = [known for known in self.history if known.step < decision.step]
        self.history.append(decision)
        self._known = [known for known in self._known if known.first < decision.step]

    def state(self) -> list[Values]:
        """Return the history as plain values."""
        return [decision._asdict() for decision in self.history]

    def load_state(self, state: Sequence[Values]) -> None:
        """Take back a history."""
        self.history = [Decision(**values) for values in state]
        self._known = []

    def __getitem__(self, number: int) -> Round:
        """Return a round by its number."""
        while len(self._known) <= number:
            self._known.append(self._next())
        return self._known[number]

    def of_step(self, step: int) -> Round:
        """Return the round that a step of the run is in."""
        number = step // self.steps_per_epoch if self._regular else 0
        while step >= (found := self[number]).first + found.steps:
            number += 1
        return found

    @property
    def _regular(self) -> bool:
        """Whether every round is an epoch of all tasks."""
        return self.every is None and len(self._stages) == 1

    def drawn(self) -> dict[str, float]:
        """Return how many examples of each task the run trains on, as far as is known now."""
        total = dict.fromkeys(self.sizes, 0.0)
        step = 0
        while step < self.total:
            found = self.of_step(step)
            share = min(1.0, (self.total - found.first) / found.steps)
            for task, count in found.quota.items():
                total[task] += share * count
            step = found.first + found.steps
        return total

    def _next(self) -> Round:
        before = self._known[-1] if self._known else None
        first = 0 if before is None else before.first + before.steps
        begun, owed = dict.fromkeys(self.sizes, 0), dict.fromkeys(self.sizes, 0.0)
        if before is not None:
            owed = before.owed
            begun = {t: n + before.quota[t] for t, n in before.begun.items()}
        stage = next(s for s in self._stages if s.end is None or first < s.end)
        steps = stage.steps
        if self.every is not None:
            steps = self.every - first % self.every
            steps = steps if stage.end is None else min(steps, stage.end - first)
        shares = self._shares(stage, first)
        natural, quota = self.order.fill(shares, self.examples)
        if natural != steps:
            quota, owed = self._stretched(shares, steps, owed)
        nothing = dict.fromkeys(self.sizes, 0)
        return Round(len(self._known), first, steps, nothing | quota, begun, owed)

    def _stretched(
        self, shares: Mapping[str, int], steps: int, owed: Mapping[str, float]
    ) -> tuple[dict[str, int], dict[str, float]]:
        """Fill steps by shares, and by what rounding owes tasks of the rounds before."""
        each = steps * self.examples / max(1, sum(shares.values()))
        wished = {t: n * each + owed[t] for t, n in shares.items() if n}
        quota = self.order.stretch(
            {t: max(n, 1e-6) for t, n in wished.items()}, steps, self.examples
        )
        most = self.examples
        rest = {t: min(max(n - quota[t], -most), most) for t, n in wished.items()}
        return quota, {**owed, **rest}

    def _shares(self, stage: _Stage, first: int) -> dict[str, int]:
        known = [decision for decision in self.history if decision.step <= first]
        scores, left = (known[-1].scores, known[-1].left) if known else ({}, [])
        staying = [task for task in stage.tasks if task not in left] or stage.tasks
        sizes = {task: self.sizes[task] for task in staying}
        if not isinstance(self.mixer, Changing):
            return self.mixer(sizes)
        last = self.total - stage.steps
        progress = min(1.0, first / last) if last > 0 else 0.0
        return self.mixer.at(sizes, Moment(progress, scores))
