"""In which order tasks come inside an epoch: mixed, a task a step in turn, or all in every step.

An order takes how many examples of each task an epoch has, says how many steps that makes, and cuts
the examples, whose order inside each task is given, into steps. Shapes: n examples, S steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mtl.data.mixing import apportion
from mtl.registry import Registry

Array = npt.NDArray[np.int64]
Tasks = npt.NDArray[np.int16]
Quota = dict[str, int]


class Order(ABC):
    """How an epoch's examples become steps of at most so many examples."""

    @abstractmethod
    def fill(self, quota: Mapping[str, int], examples: int) -> tuple[int, Quota]:
        """Return how many steps a quota makes, and how many examples of each task these have."""

    @abstractmethod
    def stretch(self, shares: Mapping[str, float], steps: int, examples: int) -> Quota:
        """Return how many examples of each task so many steps have that are all full."""

    @abstractmethod
    def arrange(
        self, order: Array, task: Tasks, steps: int, examples: int, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return the examples step by step (n,), and where steps begin and end (S + 1,).

        Args:
            order: Numbers of the examples (n,), evenly mixed.
            task: Of each number, its task's.
            steps: S.
            examples: The most of a step.
            random: Of this epoch alone.
        """


ORDERS: Registry[type[Order]] = Registry("mixing.order", "mtl.orders")
"""What ``mixing.order`` names."""


@ORDERS.register("mixed")
class Mixed(Order):
    """Steps of whatever comes next; over an epoch, each task is evenly spread."""

    def fill(self, quota: Mapping[str, int], examples: int) -> tuple[int, Quota]:
        """Fill all steps but the last."""
        return -(-sum(quota.values()) // examples), dict(quota)

    def stretch(self, shares: Mapping[str, float], steps: int, examples: int) -> Quota:
        """Split all places by the shares."""
        return apportion(steps * examples, shares, least=0)

    def arrange(
        self, order: Array, task: Tasks, steps: int, examples: int, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """Cut the order as it is."""
        del task, random
        return order, np.minimum(np.arange(steps + 1) * examples, len(order))


@ORDERS.register("round_robin")
class RoundRobin(Order):
    """One task a step, in turn; with unlike quotas, the larger task has more of the turns."""

    def fill(self, quota: Mapping[str, int], examples: int) -> tuple[int, Quota]:
        """Give each task as many steps as its examples fill."""
        return sum(-(-n // examples) for n in quota.values()), dict(quota)

    def stretch(self, shares: Mapping[str, float], steps: int, examples: int) -> Quota:
        """Split the steps by the shares."""
        return {t: n * examples for t, n in apportion(steps, shares, least=0).items()}

    def arrange(
        self, order: Array, task: Tasks, steps: int, examples: int, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """Spread each task's steps evenly: A, B, C, A, B, C where they have equally many."""
        del random
        parts: list[tuple[float, int, Array]] = []
        for number in np.unique(task).tolist():
            own = order[task[order] == number]
            turns = -(-len(own) // examples)
            pieces = np.array_split(own, turns)
            parts += [((k + 0.5) / turns, number, piece) for k, piece in enumerate(pieces)]
        parts.sort(key=lambda part: part[:2])
        assert len(parts) == steps, (len(parts), steps)
        return _joined([piece for *_, piece in parts])


@ORDERS.register("every_step")
class EveryStep(Order):
    """Every task in every step, each with its share of it; tasks that are too small repeat."""

    def fill(self, quota: Mapping[str, int], examples: int) -> tuple[int, Quota]:
        """Have at least one example of each task in each step."""
        steps = 0
        while True:
            found = {t: max(n, steps) if n else 0 for t, n in quota.items()}
            needed = -(-sum(found.values()) // examples)
            if needed <= steps:
                return steps, found
            steps = needed

    def stretch(self, shares: Mapping[str, float], steps: int, examples: int) -> Quota:
        """Split all places by the shares, of which each step has one for each task."""
        return apportion(steps * examples, shares, least=steps)

    def arrange(
        self, order: Array, task: Tasks, steps: int, examples: int, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """Give each step equally many examples of a task, and what is left to steps by chance."""
        del examples
        places = random.permutation(steps)
        steps_of: list[tuple[Array, Array]] = []
        dealt = 0
        for number in np.unique(task).tolist():
            own = order[task[order] == number]
            each, more = divmod(len(own), steps)
            sizes = np.full(steps, each)
            # In turn over all tasks, so that no step has two more than another.
            np.add.at(sizes, places[(dealt + np.arange(more)) % steps], 1)
            dealt += more
            steps_of.append((own, np.repeat(np.arange(steps), sizes)))
        rows, at = map(np.concatenate, zip(*steps_of, strict=True))
        by_step = np.argsort(at, kind="stable")
        return rows[by_step], np.searchsorted(at[by_step], np.arange(steps + 1))


def _joined(pieces: list[Array]) -> tuple[Array, Array]:
    return np.concatenate(pieces), np.cumsum([0, *map(len, pieces)])
