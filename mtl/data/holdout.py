"""Which texts validate: one choice for all tasks of a run, stratified by label.

A text that one task validates on must not train the trunk through another task, so rows of all
tasks are cut together. Rows with the same text, or of one group (``data.group``), form a *unit*,
which is held out as a whole. Units lie in the order of their rarest label and, within it, of a
draw that follows from the seed and the text alone; every n-th of that order is held out. So each
label has its share, as in iterative stratification (Sechidis et al., 2011), rarest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mtl.data.rows import Role, Rows
from mtl.errors import ConfigError, Problem
from mtl.labels import OUTSIDE, tag_of

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

GROUP = Role("group", "label", help="what rows that stay together share")
NONE: Keys = np.zeros(0, dtype=np.uint64)
"""The keys of no rows."""
STRATIFIED = ("label", "labels", "tags")
"""Types of role whose values are the labels that every split should have."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One of `count` parts, each of which validates once; `number` counts from 1."""

    number: int
    count: int


def parse_fold(text: str, key: str) -> Fold:
    """Return the fold that ``2/5`` names.

    Raises:
        ConfigError: If it is none.
    """
    number, slash, count = text.partition("/")
    if slash and number.strip().isdecimal() and count.strip().isdecimal():
        fold = Fold(int(number), int(count))
        if 1 <= fold.number <= fold.count and fold.count >= 2:
            return fold
    raise ConfigError(Problem(key, "to be a fold such as 2/5, the second of five", f"got '{text}'"))


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one task of which some are to validate."""

    rows: Rows
    roles: Sequence[Role]
    part: float | Fold
    """The share that validates, or the fold that does."""


def text_keys(rows: Rows, name: str = "") -> Keys:
    """Return a hash of each row's text, (n,), blank characters aside.

    A text and its words joined have the same one. Rows without either are all apart, and so are
    those of other tasks than `name`.
    """
    size = len(rows)
    keys = np.zeros(size, dtype=np.uint64)
    values = [rows.column(role) for role in ("text", "tokens") if role in rows.roles]
    for number in range(size):
        given = next((v for v in [next(column) for column in values] if v is not None), None)
        joined = given if isinstance(given, str) else " ".join(given or ())
        bare = "".join(joined.split())
        what = f"\1{bare}" if bare else f"\0{name}\0{number}"
        keys[number] = int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest())
    return keys


def hold_out(cuts: Mapping[str, Cut], seed: int) -> dict[str, Mask]:
    """Return which rows of each task validate, (n,).

    Every task, of two rows or more, validates on one or more. Every label stays in training,
    unless each row of a task is the only one with some label.
    """
    joint = _join(cuts, seed)
    held = _spread_parts(list(cuts.values()), joint, seed)
    held[joint.strata.first_of_lost(held, joint.draws)] = False
    for rows in joint.slices:
        own = np.unique(joint.units[rows])
        if not held[own].any():
            held[_one(own, held, joint)] = True
    masks = [held[joint.units[rows]] for rows in joint.slices]
    return dict(zip(cuts, masks, strict=True))


def sample(
    rows: Mapping[str, Rows],
    roles: Mapping[str, Sequence[Role]],
    counts: Mapping[str, int],
    seed: int,
) -> dict[str, Rows]:
    """Return so many rows of each task in their order; tasks that share texts keep the same ones.

    Each label has its share and, where there are as many rows as labels, one row or more.
    """
    cuts = {n: Cut(part, roles[n], min(1.0, counts[n] / len(part))) for n, part in rows.items()}
    if all(cut.part == 1 for cut in cuts.values()):
        return dict(rows)
    joint = _join(cuts, seed)
    chosen = _spread_parts(list(cuts.values()), joint, seed)
    found = {}
    for (name, part), own in zip(rows.items(), joint.slices, strict=True):
        draws = _mix(joint.draws[joint.units[own]] + np.arange(len(part)).astype(np.uint64), seed)
        edges = np.asarray([0, len(part)])
        firsts = _strata([_labels(part, roles[name])], np.arange(len(part)), edges).firsts(draws)
        sure = np.isin(np.arange(len(part)), firsts) & (len(np.unique(firsts)) <= counts[name])
        order = np.lexsort((draws, ~chosen[joint.units[own]], ~sure))
        found[name] = part.select(np.sort(order[: counts[name]]))
    return found


@dataclass(frozen=True, slots=True)
class _Joint:
    """The rows of all tasks, one task after the other."""

    units: Ints
    """(rows,) the number of each row's unit."""
    draws: Keys
    """(units,)"""
    strata: _Strata
    slices: list[slice]
    """The rows of each task."""


def _join(cuts: Mapping[str, Cut], seed: int) -> _Joint:
    edges = np.cumsum([0, *(len(cut.rows) for cut in cuts.values())])
    keys = np.concatenate([text_keys(cut.rows, name) for name, cut in cuts.items()])
    units = _units(list(cuts.values()), keys, edges)
    if not units.any():  # One text is all there is: it has to be cut.
        units = np.arange(edges[-1])
        keys = keys + units.astype(np.uint64)
    lowest = np.full(units.max() + 1, np.iinfo(np.uint64).max)
    np.minimum.at(lowest, units, keys)
    strata = _strata([_labels(cut.rows, cut.roles) for cut in cuts.values()], units, edges)
    slices = [slice(start, stop) for start, stop in pairwise(edges)]
    return _Joint(units, _mix(lowest, seed), strata, slices)


def _spread_parts(cuts: Sequence[Cut], joint: _Joint, seed: int) -> Mask:
    """Return which units are of their part: of a fold if a task asks, else of the largest share."""
    shares = sorted({cut.part for cut in cuts if not isinstance(cut.part, Fold)})
    known: list[float | Fold] = [
        *shares,
        *dict.fromkeys(cut.part for cut in cuts if isinstance(cut.part, Fold)),
    ]
    which = np.zeros(len(joint.draws), dtype=np.int64)
    for cut, rows in zip(cuts, joint.slices, strict=True):
        own = joint.units[rows]
        which[own] = np.maximum(which[own], known.index(cut.part))
    chosen = np.zeros(len(joint.draws), dtype=bool)
    for number, part in enumerate(known):
        like = np.flatnonzero(which == number)
        order = like[np.lexsort((joint.draws[like], joint.strata.rarest[like]))]
        chosen[_every(order, part, seed)] = True
    return chosen


@dataclass(frozen=True, slots=True)
class _Strata:
    """Which labels stand in which unit: parallel arrays, a pair each; and each unit's rarest."""

    unit: Ints
    label: Ints
    rarest: Ints
    """(units,): the rank of the unit's rarest label, rare ones first; -1 without any."""

    def firsts(self, draws: Keys) -> Ints:
        """Return, for each label, the unit of its lowest draw."""
        order = np.lexsort((draws[self.unit], self.label))
        _, at = np.unique(self.label[order], return_index=True)
        return self.unit[order[at]]

    def first_of_lost(self, held: Mask, draws: Keys) -> Ints:
        """Return the unit of the lowest draw for each label that training would not have."""
        kept = np.unique(self.label[~held[self.unit]])
        firsts, labels = self.firsts(draws), np.unique(self.label)
        return firsts[~np.isin(labels, kept)]

    def needed(self, held: Mask) -> Ints:
        """Return the units that alone have some label in training."""
        inside = ~held[self.unit]
        label, unit = self.label[inside], self.unit[inside]
        _, at, counts = np.unique(label, return_index=True, return_counts=True)
        return np.unique(unit[at[counts == 1]])


def _units(cuts: Sequence[Cut], keys: Keys, edges: Ints) -> Ints:
    """Return each row's unit: rows are of one if they share a text, or a group of their task."""
    _, units = np.unique(keys, return_inverse=True)
    groups = np.full(edges[-1], -1)
    for cut, start, stop in zip(cuts, edges[:-1], edges[1:], strict=True):
        if GROUP.name in cut.rows.roles:
            values = [value or "" for value in cut.rows.column(GROUP.name)]
            numbers = np.unique(np.asarray(values, dtype=object), return_inverse=True)[1]
            groups[start:stop] = groups.max() + 1 + numbers
    if groups.max() < 0:
        return units
    inside, texts = groups >= 0, units
    while True:  # The lowest number of any row that is connected spreads over all of them.
        lowest = np.full(groups.max() + 1, np.iinfo(np.int64).max)
        np.minimum.at(lowest, groups[inside], units[inside])
        spread = np.where(inside, lowest[groups], units)
        lowest = np.full(texts.max() + 1, np.iinfo(np.int64).max)
        np.minimum.at(lowest, texts, spread)
        spread = lowest[texts]
        if np.array_equal(spread, units):
            return np.unique(units, return_inverse=True)[1]
        units = spread


def _labels(rows: Rows, roles: Sequence[Role]) -> tuple[Ints, Ints]:
    """Return rows and label numbers, a pair for each label of a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    owners, numbers, most = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0
    for role in roles:
        if not role.target or role.type not in STRATIFIED or role.name not in rows.roles:
            continue
        column = rows.values(role.name).combine_chunks()
        column = column if isinstance(column, pa.Array) else column.chunk(0)
        owner = np.arange(len(column))
        if pa.types.is_list(column.type):
            owner = pc.list_parent_indices(column).to_numpy()
            column = pc.list_flatten(column)
        coded = column.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        if role.type == "tags" and len(codes):
            codes = _types(coded.dictionary.to_pylist())[codes]
        known = codes >= 0
        owners.append(owner[known])
        numbers.append(codes[known] + most)
        most += int(codes.max(initial=-1)) + 1
    return np.concatenate(owners), np.concatenate(numbers)


def _types(tags: Sequence[str]) -> Ints:
    """Return a number for each tag, the same for all tags of one type; -1 for O."""
    types = [tag.type if (tag := tag_of(text)) else text for text in tags]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(types))}
    return np.asarray(
        [-1 if text == OUTSIDE else numbers[t] for text, t in zip(tags, types, strict=True)]
    )


def _strata(labels: Sequence[tuple[Ints, Ints]], units: Ints, edges: Ints) -> _Strata:
    pairs, most = [np.zeros((0, 2), dtype=np.int64)], 0
    for (owner, number), start in zip(labels, edges[:-1], strict=True):
        pairs.append(np.column_stack([units[start + owner], number + most]))
        most += int(number.max(initial=-1)) + 1
    found = np.unique(np.concatenate(pairs), axis=0)
    unit, label = found[:, 0], found[:, 1]
    counts = np.bincount(label, minlength=most)
    rank = np.empty(most, dtype=np.int64)
    rank[np.lexsort((np.arange(most), counts))] = np.arange(most)
    rarest = np.full(int(units.max(initial=-1)) + 1, most)
    np.minimum.at(rarest, unit, rank[label])
    rarest[rarest == most] = -1
    return _Strata(unit, label, rarest)


def _every(order: Ints, part: float | Fold, seed: int) -> Ints:
    """Return the units of a part, spread evenly over an order."""
    if isinstance(part, Fold):
        return order[part.number - 1 :: part.count]
    return _spread(order, max(1, round(len(order) * part)), seed)


def _spread(order: Ints, count: int, seed: int) -> Ints:
    """Return `count` elements at equal distances, from a place that the seed chooses."""
    size = len(order)
    if not size or not count:
        return order[:0]
    start = int(_mix(np.zeros(1, dtype=np.uint64), seed)[0]) % size
    steps = (np.arange(size + 1) * count + start) // size
    return order[np.flatnonzero(np.diff(steps))]


def _one(own: Ints, held: Mask, joint: _Joint) -> int:
    """Return a unit of a task that can validate, if possible without taking a label from train."""
    free = np.setdiff1d(own, joint.strata.needed(held))
    free = free if len(free) else own
    return int(free[joint.draws[free].argmin()])


def _mix(keys: Keys, seed: int) -> Keys:
    """Return a number for each key that follows from it and the seed: SplitMix64's finaliser."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        return z ^ (z >> np.uint64(31))
