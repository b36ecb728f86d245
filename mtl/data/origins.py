"""What can give a task its splits: a bundled corpus, a dataset of the Hub, a folder, files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.config.schema import DataConfig
from mtl.data import hub
from mtl.data.readers import read_split
from mtl.data.readers.base import Dialect, Found, Read
from mtl.data.readers.files import find
from mtl.data.readers.parallel import beside, read_parallel
from mtl.data.readers.several import Wish
from mtl.data.readers.split import Check
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError, Problem, one_of
from mtl.registry import Registry

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation", "test")
BUNDLED = Path(__file__).parent / "bundled"
NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev", "testa"),
    "test": ("test", "testb"),
}


def limit_of(options: DataConfig, split: str) -> int | None:
    """Return how many rows of a split to read at most."""
    if split == "train" and options.max_train_examples is not None:
        return options.max_train_examples
    return options.max_examples


@dataclass(frozen=True)
class TaskData:
    """What opening a source needs to know of a task, and where it leaves its notes."""

    options: DataConfig
    columns: Mapping[str, Wish]
    roles: Sequence[Role]
    section: str
    base: Path
    bad_rows: BadRows
    notes: list[str]
    check: Check | None = None
    found: Found = field(default_factory=dict)
    """How the files of train turn out to be written."""


Opened = dict[str, Callable[[], Rows]]
SOURCES: Registry[Callable[[TaskData, str], Opened]] = Registry("data source")


def open_splits(task: TaskData) -> Opened:
    """Return how to read each split that there is.

    Raises:
        ConfigError: If the source is of no known kind.
        DataError: If it has no training split.
    """
    options = task.options
    files = {split: getattr(options, split) for split in SPLITS}
    given: Opened = {
        s: partial(read_rows, task, s, file, s) for s, file in files.items() if file is not None
    }
    source = options.source
    if source is None or len(given) == len(SPLITS):
        return given
    if "train" in given and source.startswith("bundled:"):
        task.notes.append(f"{task.section}: train is a file, so no split comes from '{source}'.")
        return given
    found = _open_source(task, source)
    if "train" not in found and "train" not in given:
        raise DataError(
            Problem(
                f"{task.section}.source",
                f"to have a training split in '{source}'",
                f"found {', '.join(found) or 'no split'}",
                f"Name its file in `{task.section}.train`.",
            )
        )
    return {**found, **given}


def _open_source(task: TaskData, source: str) -> Opened:
    prefix, colon, rest = source.partition(":")
    if colon and prefix in SOURCES:
        return SOURCES.get(prefix)(task, rest)
    if re.fullmatch(r"[A-Za-z]\w+", prefix) and colon and not (task.base / source).exists():
        raise ConfigError(one_of(f"{task.section}.source", prefix, SOURCES))
    return SOURCES.get("folder")(task, source)


def read_rows(
    task: TaskData,
    split: str,
    files: str | Path | Sequence[str | Path] | Mapping[str, str],
    option: str,
    read: Read | None = None,
) -> Rows:
    """Return the rows of a split.

    Args:
        task: Whose split it is.
        split: Its name.
        files: A path or glob, several of them, or a file for each role.
        option: The key of the task's section that names them.
        read: Reads the rows, where `files` merely names them and is no path.
    """
    options = task.options
    if isinstance(files, str) and options.format is None and read is None:
        found = beside(task.base / Path(files).expanduser(), task.roles)
        if found:
            told = ", ".join(f"{role}: {Path(file).name}" for role, file in found.items())
            task.notes.append(
                f"{task.section}.{option}: '{files}' is read line by line with the files beside "
                f"it ({told})."
            )
        files = found or files
    if isinstance(files, Mapping):
        return _read_parallel(task, split, files, option)
    columns = {**task.columns, **options.columns.get(split, {})}
    return read_split(
        files,
        columns={n: c for n, c in columns.items() if c is not None},
        roles=task.roles,
        bad_rows=task.bad_rows,
        split=split,
        format=options.format,
        header=options.header,
        encoding=options.encoding,
        key=f"{task.section}.{option}",
        base=task.base,
        check=task.check,
        read=read,
        notes=task.notes,
        dialect=Dialect(options.delimiter, options.quoting, options.comment),
        found=task.found if split == "train" else None,
    )


def _read_parallel(task: TaskData, split: str, files: Mapping[str, str], option: str) -> Rows:
    """Return the rows of files of which line n belongs together."""
    key = f"{task.section}.{option}"
    known = [role.name for role in task.roles]
    for role in files:
        if role not in known:
            raise ConfigError(one_of(key, role, known))
    paths = {role: find(file, f"{key}.{role}", task.base) for role, file in files.items()}
    several = next((role for role, found in paths.items() if len(found) > 1), None)
    if several is not None:
        found = ", ".join(str(path) for path in paths[several][:5])
        raise ConfigError(Problem(f"{key}.{several}", "to name one file", f"got {found}"))
    single = {role: found[0] for role, found in paths.items()}
    options = task.options.model_copy(update={"columns": {}})
    own = replace(task, columns={role: role for role in files}, options=options)
    first = next(iter(single.values()))
    return read_rows(own, split, first, option, partial(read_parallel, single))


@SOURCES.register("bundled")
def open_bundled(task: TaskData, name: str) -> Opened:
    """Return the splits of a corpus that comes with the package."""
    known = [folder.name for folder in BUNDLED.iterdir() if folder.is_dir()]
    if name not in known:
        raise ConfigError(
            one_of(f"{task.section}.source", f"bundled:{name}", (f"bundled:{k}" for k in known))
        )
    files = {split: BUNDLED / name / f"{split}.jsonl" for split in SPLITS}
    options = task.options.model_copy(update={"format": "jsonl", "encoding": "utf-8"})
    own = replace(task, options=options)
    return {s: partial(read_rows, own, s, f, "source") for s, f in files.items() if f.exists()}


@SOURCES.register("hub")
def open_hub(task: TaskData, name: str) -> Opened:
    """Return the splits of a dataset on the Hub."""
    return open_datasets(task, f"hub:{name}", hub.load(name, f"{task.section}.source", task.notes))


def open_datasets(task: TaskData, name: str, loaded: Mapping[str, Dataset]) -> Opened:
    """Return the splits of a dataset of the ``datasets`` library, by the names that it gives them.

    Args:
        task: Whose splits they are.
        name: What messages call the dataset.
        loaded: Its splits.
    """
    key = f"{task.section}.source"
    targets = [str(task.columns.get(r.name)) for r in task.roles if r.target and r.required]
    opened: Opened = {}
    for split in SPLITS:
        title = next((title for title in NAMES[split] if title in loaded), None)
        if title is None:
            continue
        if hub.is_unlabelled(loaded[title], targets):
            task.notes.append(f"{key}: split '{title}' of '{name}' has no labels; it is left out.")
            continue
        read = partial(hub.read_dataset, loaded[title])
        opened[split] = partial(read_rows, task, split, f"{name}/{title}", "source", read)
    return opened
