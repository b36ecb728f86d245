"""The plan of an epoch: which examples, of which tasks, in which step.

It is a pure function of (seed, epoch), and of what validations decided where the mixture follows
them: computed alike on every rank. Ranks then split each step's documents between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl.config.schema import StageConfig
from mtl.data.mixing import Mixer
from mtl.data.orders import Mixed, Order
from mtl.data.rounds import Decision, Round, Rounds

Array = npt.NDArray[np.int64]
AHEAD = 32
"""How many groups a step is chosen from, so that few of them are cut."""


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """Examples in training order; step `s` is rows ``edges[s]`` to ``edges[s + 1]``.

    `task`, `example` and `group` have shape (n,): the task's number, the example's index in it,
    and a number that examples share whose document is encoded once.
    """

    task: npt.NDArray[np.int16]
    example: Array
    group: Array
    edges: Array

    def __len__(self) -> int:
        return len(self.edges) - 1

    def step(self, number: int) -> list[list[tuple[int, int]]]:
        """Return the groups of one step, each a list of (task number, example index)."""
        cut = slice(int(self.edges[number]), int(self.edges[number + 1]))
        groups: dict[int, list[tuple[int, int]]] = {}
        for task, example, group in zip(
            self.task[cut].tolist(),
            self.example[cut].tolist(),
            self.group[cut].tolist(),
            strict=True,
        ):
            groups.setdefault(group, []).append((task, example))
        return list(groups.values())


class Planner:
    """Plans epochs.

    Args:
        keys: By task, in order: a document key per example, shape (n,).
        mixer: Sizes to examples an epoch.
        examples: Examples per optimiser step, over all ranks and tasks.
        max_branches: Most examples of one document that share its encoding in a step.
        seed: Of the whole run.
        order: How an epoch's examples become steps; mixed when None.
        stages: As for :class:`Rounds`, like the next three.
        epochs: Of the run.
        steps: Of the run, if set.
        every: Steps between validations, where the mixture follows them; an epoch's when 0.
    """

    def __init__(
        self,
        keys: Mapping[str, npt.NDArray[np.uint64]],
        mixer: Mixer,
        *,
        examples: int,
        max_branches: int,
        seed: int,
        order: Order | None = None,
        stages: Sequence[StageConfig] = (),
        epochs: int = 1,
        steps: int | None = None,
        every: int | None = None,
    ) -> None:
        self.keys = dict(keys)
        self.order = order or Mixed()
        self.rounds = Rounds(
            {task: len(found) for task, found in keys.items()},
            mixer,
            self.order,
            examples=examples,
            stages=stages,
            epochs=epochs,
            steps=steps,
            every=every,
        )
        self.examples = examples
        self.max_branches = max_branches
        self.seed = seed
        self._latest: tuple[int, EpochPlan] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Of an epoch of all tasks."""
        return self.rounds.steps_per_epoch

    def decide(self, decision: Decision) -> None:
        """Let a validation change the shares of the steps after it."""
        self.rounds.decide(decision)
        self._latest = None

    def epoch(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, or of another round, counted from 0."""
        found = self.rounds[epoch]
        task, example, turn, key = self._chosen(found)
        group = self._groups(turn, key, found)
        del turn, key
        order = self._order(group, task, epoch)
        random = self._random("rest", "", epoch)
        order, edges = self.order.arrange(order, task, found.steps, self.examples, random)
        return EpochPlan(task[order], example[order], group[order], edges)

    def step(self, number: int) -> list[list[tuple[int, int]]]:
        """Return the groups of a step of the run, counted from 0; see :meth:`EpochPlan.step`."""
        here = self.rounds.of_step(number)
        if self._latest is None or self._latest[0] != here.number:
            self._latest = (here.number, self.epoch(here.number))
        return self._latest[1].step(number - here.first)

    def _chosen(
        self, here: Round
    ) -> tuple[npt.NDArray[np.int16], Array, npt.NDArray[np.int32], Array]:
        """Which examples a round has: task, index, how often seen before in it, document key."""
        parts = []
        for number, (task, known) in enumerate(self.keys.items()):
            quota, size = here.quota[task], len(known)
            if not quota:
                continue
            turns, inside = np.divmod(here.begun[task] + np.arange(quota), size)
            index = np.empty(quota, dtype=np.int64)
            for turn in range(int(turns[0]), int(turns[-1]) + 1):
                of_turn = turns == turn
                order = self._random("order", task, turn).permutation(size)
                index[of_turn] = order[inside[of_turn]]
            turns = (turns - turns[0]).astype(np.int32)
            keys = known[index].view(np.int64)
            parts.append((np.full(quota, number, dtype=np.int16), index, turns, keys))
        tasks, indices, all_turns, all_keys = map(np.concatenate, zip(*parts, strict=True))
        return tasks, indices, all_turns, all_keys

    def _groups(self, turn: npt.NDArray[np.int32], key: Array, here: Round) -> Array:
        """Number the groups: equal documents of one turn, at most `max_branches` at a time."""
        shuffle = np.concatenate(
            [self._random("branches", t, here.number).random(n) for t, n in here.quota.items()]
        )
        order = np.lexsort((shuffle, turn, key))
        del shuffle  # What is done with goes at once: there may be many millions.
        new = np.ones(len(key), dtype=bool)
        for part in (key[order], turn[order]):
            new[1:] &= part[1:] == part[:-1]
        new[1:] = ~new[1:]
        at = np.arange(len(key))
        place = at - np.maximum.accumulate(np.where(new, at, 0))
        new |= place % self.max_branches == 0
        del at, place
        group = np.empty(len(key), dtype=np.int64)
        group[order] = np.cumsum(new) - 1
        return group

    def _order(self, group: Array, task: npt.NDArray[np.int16], epoch: int) -> Array:
        """Put groups in random order, every combination of tasks spread evenly over the epoch."""
        count = int(group.max()) + 1
        readers = np.zeros(count, dtype=np.uint64)
        np.bitwise_or.at(readers, group, np.uint64(1) << (task % 64).astype(np.uint64))
        place = np.empty(count)
        for each in np.unique(readers):
            here = np.flatnonzero(readers == each)
            names = sorted(t for i, t in enumerate(self.keys) if int(each) >> i % 64 & 1)
            # By name, so that a task beside these changes nothing in their order.
            random = self._random("steps", ",".join(names), epoch)
            place[here] = (random.permutation(len(here)) + random.random(len(here))) / len(here)
        return self._whole(np.lexsort((task, group, place[group])), group)

    def _whole(self, order: Array, groups: Array) -> Array:
        """Move groups a few places so that few are cut where steps end."""
        new = np.flatnonzero(np.diff(groups[order], prepend=-1))
        sizes = np.diff(new, append=len(order))
        if len(order) == len(new):
            return order
        found, at = np.empty_like(order), 0
        waiting: list[int] = []  # Groups, the longest waiting first.
        following = 0
        while waiting or following < len(new):
            more = min(AHEAD - len(waiting), len(new) - following)
            waiting += range(following, following + more)
            following += more
            chosen = fill([int(sizes[g]) for g in waiting], self.examples)
            for group, size in [(waiting[i], size) for i, size in chosen]:
                found[at : at + size] = order[new[group] : new[group] + size]
                at += size
                new[group] += size
                sizes[group] -= size
            waiting = [g for g in waiting if sizes[g]]
        return found

    def _random(self, purpose: str, name: str, number: int) -> np.random.Generator:
        return generator(self.seed, purpose, name, number)


def fill(sizes: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Fill a step with whole groups, the first among them; returns (place, how many of it) of each.

    Where no choice of groups fills it, or the first alone is too much, the last one is cut.

    Args:
        sizes: Of the groups, in the order in which they are preferred.
        room: Of the step, in examples.
    """
    reach = [1] * (len(sizes) + 1)  # Bit n of the k-th: groups from the k-th on can fill n.
    for k in range(len(sizes) - 1, -1, -1):
        reach[k] = (reach[k + 1] | reach[k + 1] << sizes[k]) & ((2 << room) - 1)
    chosen = []
    whole = room >= sizes[0] and bool(reach[1] >> (room - sizes[0]) & 1)
    for k, size in enumerate(sizes):
        fits = size <= room and bool(reach[k + 1] >> (room - size) & 1)
        if fits or not whole:
            chosen.append((k, min(size, room)))
            room -= chosen[-1][1]
        if not room:
            break
    return chosen


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a counter-based generator that depends on nothing but its arguments."""
    text = "\x1f".join(map(str, (seed, *purpose)))
    key = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def split_ranks(sizes: Sequence[int], world: int) -> list[list[int]]:
    """Share groups between ranks so that tokens are even; returns each rank's group numbers.

    Largest first to the rank with the fewest tokens (Graham 1969); ties go to the lower number.
    """
    load = [0] * world
    shares: list[list[int]] = [[] for _ in range(world)]
    for group in sorted(range(len(sizes)), key=lambda g: (-sizes[g], g)):
        rank = min(range(world), key=lambda r: (load[r], r))
        load[rank] += sizes[group]
        shares[rank].append(group)
    return [sorted(s) for s in shares]
