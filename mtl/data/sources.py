"""From a task's ``data`` section to its splits.

A section names something with all splits (``source``), or a file for a split, or both::

    {"source": "bundled:newsroom"}
    {"source": "hub:eriktks/conll2003", "test": "my.conll"}
    {"train": "train.tsv", "test": "test.tsv"}          # validation is cut from train
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtl.config.schema import DataConfig
from mtl.data.origins import SPLITS, TaskData, open_splits
from mtl.data.readers.base import Column
from mtl.data.readers.split import Check
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError


@dataclass
class Splits:
    """A task's rows, and what the user should know about them."""

    train: Rows | None = None
    validation: Rows | None = None
    test: Rows | None = None
    notes: list[str] = field(default_factory=list)
    bad_rows: BadRows = field(default_factory=BadRows)


def load_splits(
    options: DataConfig,
    columns: Mapping[str, Column],
    roles: Sequence[Role],
    seed: int,
    task_name: str,
    base_dir: str | Path | None = None,
    only: Sequence[str] = SPLITS,
    check: Check | None = None,
) -> Splits:
    """Read a task's splits.

    A file of a split wins over the source. A training file replaces a bundled source as a whole:
    its other splits would be of another corpus. A missing validation split is cut from train.

    Args:
        options: The task's ``data`` section.
        columns: Role to column.
        roles: What the task wants.
        seed: Chooses the rows of a validation split that is cut from train.
        task_name: For messages: keys begin with ``tasks.<task_name>``.
        base_dir: The folder that relative paths start from; the current one when ``None``.
        only: The splits to read.
        check: Puts a row right or refuses it; see :data:`mtl.data.readers.split.Check`.

    Raises:
        ConfigError: If an option does not fit.
        DataError: If data is missing or malformed.
    """
    section = f"tasks.{task_name}.data"
    if options.source is None and options.train is None:
        raise ConfigError(
            f"Expected `{section}.source` or `{section}.train` to be set, but got neither."
        )
    splits = Splits(bad_rows=BadRows(options.on_bad_row, section))
    base = Path(base_dir or ".")
    task = TaskData(options, columns, roles, section, base, splits.bad_rows, splits.notes, check)
    found = open_splits(task)
    cut = "validation" in only and "validation" not in found
    for split in SPLITS:
        if split in found and (split in only or (cut and split == "train")):
            setattr(splits, split, found[split]())
    if cut and splits.train is not None:
        _cut(splits, options.validation_fraction, seed, section)
    if "train" not in only:
        splits.train = None
    splits.notes.extend(_unused(splits, task))
    if splits.bad_rows.rejects:
        splits.notes.append(splits.bad_rows.summary())
    return splits


def cut_indices(size: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return which of `size` rows stay in train, and which become validation; both sorted.

    The order of raw draws of NumPy's Philox generator chooses, a pure function of the seed on
    every platform and in every version.

    Args:
        size: Number of rows, two or more.
        fraction: Share of them for validation; at least one row, and not all.
        seed: Any integer.
    """
    key = np.array([seed % 2**64, size], dtype=np.uint64)
    draws = np.random.Philox(key=key).random_raw(size)
    order = np.argsort(draws, kind="stable")
    count = min(max(round(size * fraction), 1), size - 1)
    return sorted(order[count:].tolist()), sorted(order[:count].tolist())


def _cut(splits: Splits, fraction: float, seed: int, section: str) -> None:
    train = splits.train
    assert train is not None
    if len(train) < 2:
        raise DataError(
            f"{section}.train: Expected two rows or more to cut validation from, but got 1. "
            f"Set `{section}.validation`."
        )
    texts = documents_of(train)
    count = int(texts.max()) + 1
    if count > 1:
        kept, held = (np.flatnonzero(np.isin(texts, t)) for t in cut_indices(count, fraction, seed))
    else:  # All rows are of one text: there is no other way than to cut it.
        kept, held = map(np.asarray, cut_indices(len(train), fraction, seed))
    splits.train, splits.validation = train.select(kept), train.select(held)
    apart = "; rows of one text stay together" if 1 < count < len(train) else ""
    splits.notes.append(
        f"{section}: there is no validation split, so {len(held):,} of {len(train):,} training "
        f"rows serve as one (validation_fraction={fraction}, seed={seed}{apart})."
    )


def documents_of(rows: Rows) -> npt.NDArray[np.int64]:
    """Return each row's text as a number, shape (n,); texts count from 0 as they first appear.

    Questions of one paragraph must not stand on both sides of a cut: the model would be validated
    on a text that it has learned from. Rows without a text are all apart.
    """
    size = len(rows)
    if "text" not in rows.roles:
        return np.arange(size)
    keys = np.fromiter(map(_key, range(size), rows.column("text")), dtype=np.uint64, count=size)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]


def _key(number: int, text: str | None) -> int:
    """Return a hash of a row's text; of its number if it has none."""
    what = b"\0%d" % number if text is None else b"\1" + text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(what, digest_size=8).digest())


def _unused(splits: Splits, task: TaskData) -> list[str]:
    """Return a sentence for each column that was asked for by a name of its own and is nowhere.

    A column that is named like its role is the role's usual place, not a wish.
    """
    notes = []
    others = {role.name: role.instead_of for role in task.roles}
    found = [rows for split in SPLITS if (rows := getattr(splits, split)) is not None]
    for role, column in task.columns.items():
        names = {role, *others.get(role, ())}
        if role != "id" and column != role and not any(names & {*rows.roles} for rows in found):
            notes.append(f"{task.section}: no row has column {column!r} (`{role}`).")
    return notes
