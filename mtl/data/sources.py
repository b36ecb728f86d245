"""From the ``data`` sections of a run's tasks to their splits.

A section names something with all splits (``source``), or a file for a split, or both::

    {"source": "bundled:newsroom"}
    {"source": "hub:eriktks/conll2003", "test": "my.conll"}
    {"train": "train.tsv", "test": "test.tsv"}          # validation is cut from train
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mtl.config.schema import DataConfig
from mtl.data import folders  # noqa: F401  registers a source
from mtl.data.holdout import GROUP, NONE, Cut, hold_out, parse_fold, sample, text_keys
from mtl.data.origins import SPLITS, TaskData, limit_of, open_splits
from mtl.data.readers.base import Found
from mtl.data.readers.several import Wish
from mtl.data.readers.split import Check
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError, Problem


@dataclass(frozen=True)
class Wanted:
    """What is to be read for one task.

    Args:
        options: The task's ``data`` section.
        columns: Role to column.
        roles: What the task wants.
        check: Puts a row right or refuses it; see :data:`mtl.data.readers.split.Check`.
    """

    options: DataConfig
    columns: Mapping[str, Wish]
    roles: Sequence[Role]
    check: Check | None = None


@dataclass
class Splits:
    """A task's rows, and what the user should know about them."""

    train: Rows | None = None
    validation: Rows | None = None
    test: Rows | None = None
    notes: list[str] = field(default_factory=list)
    bad_rows: BadRows = field(default_factory=BadRows)
    uncut: Rows | None = None
    """Train with the rows that were cut from it for validation, if any were."""
    found: Found = field(default_factory=dict)
    """How the files of train turn out to be written."""


def load_splits(
    wanted: Mapping[str, Wanted],
    seed: int,
    base_dir: str | Path | None = None,
    only: Sequence[str] = SPLITS,
) -> dict[str, Splits]:
    """Read the splits of a run's tasks.

    A file of a split wins over the source. A training file replaces a bundled source as a whole:
    its other splits would be of another corpus. A missing validation split is cut from train, for
    all tasks together: a text that one task validates on trains none.

    Args:
        wanted: By task, whose keys begin with ``tasks.<name>``.
        seed: Chooses the rows that validate, and those of a sample.
        base_dir: The folder that relative paths start from; the current one when ``None``.
        only: The splits to read.

    Raises:
        ConfigError: If an option does not fit.
        DataError: If data is missing or malformed.
    """
    base = Path(base_dir or ".")
    tasks = {name: _task_data(name, one, base) for name, one in wanted.items()}
    splits = {name: _read(task, only) for name, task in tasks.items()}
    for split in SPLITS:
        _sample(splits, tasks, split, seed)
    if "train" in only:
        _leave_out_shared(splits)
    _cut(splits, tasks, seed)
    for name, own in splits.items():
        if "train" not in only:
            own.train = own.uncut = None
        own.notes.extend(_unused(own, tasks[name]))
        if own.bad_rows.rejects:
            own.notes.append(own.bad_rows.summary())
    return splits


def _task_data(name: str, wanted: Wanted, base: Path) -> TaskData:
    section, options = f"tasks.{name}.data", wanted.options
    if options.source is None and options.train is None:
        expected = f"to be set, or `{section}.train`"
        raise ConfigError(Problem(f"{section}.source", expected, "got neither"))
    columns, roles = wanted.columns, wanted.roles
    together = next((role.name for role in roles if role.together and role.name in columns), None)
    group = columns[together] if options.group is None and together else options.group
    if group is not None:
        columns, roles = {**columns, GROUP.name: group}, [*roles, GROUP]
    if options.fold is not None:
        parse_fold(options.fold, f"{section}.fold")
        if options.validation is not None:
            expected = f"to be unset, because `{section}.fold` cuts validation from train"
            found = f"got '{options.validation}'"
            raise ConfigError(Problem(f"{section}.validation", expected, found))
    bad_rows = BadRows(options.on_bad_row, section)
    return TaskData(options, columns, roles, section, base, bad_rows, [], wanted.check)


def _read(task: TaskData, only: Sequence[str]) -> Splits:
    """Read what there is of a task's splits, and train where validation is cut from it."""
    splits = Splits(bad_rows=task.bad_rows, notes=task.notes, found=task.found)
    opened = open_splits(task)
    if task.options.fold is not None:
        opened.pop("validation", None)
    cuts = "validation" in only and "validation" not in opened
    for split in SPLITS:
        if split in opened and (split in only or (cuts and split == "train")):
            setattr(splits, split, opened[split]())
    return splits


def _sample(
    splits: Mapping[str, Splits], tasks: Mapping[str, TaskData], split: str, seed: int
) -> None:
    """Keep a sample of a split's rows where the options ask for one."""
    found = {name: rows for name, own in splits.items() if (rows := getattr(own, split))}
    counts = {name: limit_of(tasks[name].options, split) or len(found[name]) for name in found}
    roles = {name: tasks[name].roles for name in found}
    for name, rows in sample(found, roles, counts, seed).items():
        setattr(splits[name], split, rows)
        if len(rows) < len(found[name]):
            limit = "max_examples"
            if split == "train" and tasks[name].options.max_train_examples is not None:
                limit = "max_train_examples"
            splits[name].notes.append(
                f"{tasks[name].section}: {len(rows):,} of {len(found[name]):,} rows of {split} are "
                f"used, a sample in which labels have their shares ({limit}, seed={seed})"
                f"{'; its scores are of these' if split != 'train' else ''}."
            )


def _cut(splits: Mapping[str, Splits], tasks: Mapping[str, TaskData], seed: int) -> None:
    """Cut validation from train where there is none, from the same texts in all tasks."""
    cuts = {}
    for name, own in splits.items():
        options, section = tasks[name].options, tasks[name].section
        if own.train is None or own.validation is not None:
            continue
        if len(own.train) < 2:
            raise DataError(
                Problem(
                    f"{section}.train",
                    "to have two rows or more, to cut validation from",
                    f"got {len(own.train)}",
                    f"Set `{section}.validation`.",
                )
            )
        fold = options.fold and parse_fold(options.fold, f"{section}.fold")
        cuts[name] = Cut(own.train, tasks[name].roles, fold or options.validation_fraction)
    for name, held in (hold_out(cuts, seed) if cuts else {}).items():
        own, options, total = splits[name], tasks[name].options, len(held)
        assert own.train is not None
        own.uncut = own.train
        own.validation = own.train.select(np.flatnonzero(held))
        own.train = own.train.select(np.flatnonzero(~held))
        how = f"validation_fraction={options.validation_fraction}"
        how = f"fold={options.fold}" if options.fold else how
        own.notes.append(
            f"{tasks[name].section}: there is no validation split, so {len(own.validation):,} of "
            f"{total:,} training rows serve as one ({how}, seed={seed}; rows of one text stay "
            "together, in all tasks)."
        )


def _leave_out_shared(splits: Mapping[str, Splits]) -> None:
    """Leave out of training what another task validates or tests on; say what a task's own has."""
    scored = {
        name: np.concatenate(
            [text_keys(r, name) for r in (own.validation, own.test) if r] or [NONE]
        )
        for name, own in splits.items()
    }
    for name, own in splits.items():
        if own.train is None or not any(map(len, scored.values())):
            continue
        keys, section = text_keys(own.train, name), f"tasks.{name}.data"
        repeated = int(np.isin(keys, scored[name]).sum())
        if repeated:
            own.notes.append(
                f"{section}: {repeated:,} of {len(keys):,} training rows have a text that "
                "validation or test has too. They stay, as the files have them."
            )
        others = [other for other in scored if other != name and len(scored[other])]
        shared = np.isin(keys, np.concatenate([scored[other] for other in others] or [NONE]))
        shared &= ~np.isin(keys, scored[name])
        if shared.all():
            raise DataError(
                Problem(
                    section,
                    "to have training texts of its own",
                    f"task {' or '.join(others)} validates or tests on all of them",
                    "Give both tasks the same splits.",
                )
            )
        if shared.any():
            own.train = own.train.select(np.flatnonzero(~shared))
            own.notes.append(
                f"{section}: {int(shared.sum()):,} of {len(keys):,} training rows are left out: "
                f"task {' or '.join(others)} validates or tests on their texts."
            )


def _unused(splits: Splits, task: TaskData) -> list[str]:
    """Return a sentence for each column that was asked for by a name of its own and is nowhere.

    A column that is named like its role is the role's usual place, not a wish.
    """
    notes = []
    others = [{role.name, *role.instead_of} for role in task.roles if role.instead_of]
    found = [rows for split in SPLITS if (rows := getattr(splits, split)) is not None]
    for role, column in task.columns.items():
        names = {role}.union(*(group for group in others if role in group))
        if role != "id" and column != role and not any(names & {*rows.roles} for rows in found):
            notes.append(f"{task.section}: no row has column {column!r} (`{role}`).")
    return notes
