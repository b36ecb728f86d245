"""What can give a task its splits: a bundled corpus, a dataset of the Hub, a folder, files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mtl.config.schema import DataConfig
from mtl.data import hub
from mtl.data.readers import read_split
from mtl.data.readers.base import Column, Dialect, Read
from mtl.data.readers.split import Check
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError, did_you_mean, one_of
from mtl.registry import Registry

SPLITS = ("train", "validation", "test")
CODE = (".py", ".pyc", ".pkl", ".pickle")
"""Endings of files that hold code, and are no split of a folder."""
BUNDLED = Path(__file__).parent / "bundled"
_NAMES = {
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
    columns: Mapping[str, Column]
    roles: Sequence[Role]
    section: str
    base: Path
    bad_rows: BadRows
    notes: list[str]
    check: Check | None = None


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
        s: partial(_read, task, s, file, s) for s, file in files.items() if file is not None
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
            f"{task.section}.source: Expected a training split in '{source}', "
            f"but found {', '.join(found) or 'no split'}. Name its file in `{task.section}.train`."
        )
    return {**found, **given}


def _open_source(task: TaskData, source: str) -> Opened:
    prefix, colon, rest = source.partition(":")
    if colon and prefix in SOURCES:
        return SOURCES.get(prefix)(task, rest)
    if re.fullmatch(r"[A-Za-z]\w+", prefix) and colon and not (task.base / source).exists():
        raise ConfigError(one_of(f"{task.section}.source", prefix, SOURCES))
    return open_folder(task, source)


def _read(
    task: TaskData, split: str, pattern: str | Path, option: str, read: Read | None = None
) -> Rows:
    options = task.options
    return read_split(
        pattern,
        columns=task.columns,
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
    )


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
    return {s: partial(_read, own, s, f, "source") for s, f in files.items() if f.exists()}


@SOURCES.register("folder")
def open_folder(task: TaskData, name: str) -> Opened:
    """Return the splits of a folder, by the names of its files."""
    folder = task.base / Path(name).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{task.section}.source: Expected a folder, `bundled:<name>` or `hub:<dataset>`, "
            f"but got '{name}'{_instead(folder, task.section)}"
        )
    found = {split: split_file(folder, split, task.section) for split in SPLITS}
    return {s: partial(_read, task, s, f, "source") for s, f in found.items() if f}


def _instead(folder: Path, section: str) -> str:
    if folder.is_file():
        return f", a file; name it in `{section}.train`."
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = did_you_mean(folder.name, (path.name for path in beside if path.is_dir()))
    return f", which does not exist.{near}"


def split_file(folder: Path, split: str, section: str) -> Path | None:
    """Return a folder's file (or glob, for ``train-00000-of-00002.parquet``) of a split, if any.

    Raises:
        DataError: If several files could be meant.
    """
    names = "|".join(_NAMES[split])
    found = sorted(
        file.name
        for file in folder.iterdir()
        if file.is_file()
        and file.suffix not in CODE
        and re.fullmatch(rf"(?:eng\.)?(?:{names})(?:[.-].*)?", file.name)
    )
    shards = [name for name in found if re.search(r"-\d+-of-\d+\.", name)]
    if shards and shards == found:
        return folder / re.sub(r"-\d+-of-\d+\.", "-*-of-*.", shards[0])
    if len(found) > 1:
        raise DataError(
            f"{section}.source: Expected one {split} file in '{folder}', but found "
            f"{', '.join(found)}. Name the right one in `{section}.{split}`."
        )
    return folder / found[0] if found else None


@SOURCES.register("hub")
def open_hub(task: TaskData, name: str) -> Opened:
    """Return the splits of a dataset on the Hub."""
    key = f"{task.section}.source"
    loaded = hub.load(name, key, task.notes)
    targets = [str(task.columns.get(r.name)) for r in task.roles if r.target and r.required]
    opened: Opened = {}
    for split in SPLITS:
        title = next((title for title in _NAMES[split] if title in loaded), None)
        if title is None:
            continue
        if hub.is_unlabelled(loaded[title], targets):
            task.notes.append(f"{key}: split '{title}' of '{name}' has no labels; it is left out.")
            continue
        read = partial(hub.read_dataset, loaded[title])
        opened[split] = partial(_read, task, split, f"hub:{name}/{title}", "source", read)
    return opened
