"""Folders with all splits of a task: as files, as a folder for each class, or as saved datasets.

::

    corpus/train.tsv  corpus/dev.tsv  corpus/test.tsv      a file for each split
    corpus/train/pos/1.txt  corpus/test/neg/1.txt          a folder for each class, in each split
    corpus/sport/1.txt  corpus/tech/1.txt                  a folder for each class
    corpus/dataset_dict.json  corpus/train/state.json      what `datasets` saved to the disk
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mtl.data import hub
from mtl.data.origins import NAMES, SOURCES, SPLITS, Opened, TaskData, open_datasets, read_rows
from mtl.data.readers.folders import class_files, is_unlabelled, read_document
from mtl.data.readers.parallel import parallel_files
from mtl.data.rows import Role
from mtl.errors import DataError, Problem, did_you_mean

CODE = (".py", ".pyc", ".pkl", ".pickle")
"""Endings of files that hold code, and are no split of a folder."""


@SOURCES.register("folder")
def open_folder(task: TaskData, name: str) -> Opened:
    """Return the splits of a folder, by the names of its files or folders.

    Raises:
        DataError: If there is no such folder.
    """
    folder = task.base / Path(name).expanduser()
    if not folder.is_dir():
        raise DataError(_no_folder(folder, name, task.section))
    if hub.is_saved(folder):
        return open_datasets(
            task, name, hub.load(str(folder), f"{task.section}.source", task.notes)
        )
    together = {split: parallel_split(folder, split, task.roles) for split in SPLITS}
    if together["train"]:
        return {s: partial(read_rows, task, s, f, "source") for s, f in together.items() if f}
    found = {split: split_file(folder, split, task.section) for split in SPLITS}
    files: Opened = {s: partial(read_rows, task, s, f, "source") for s, f in found.items() if f}
    return files or _open_classes(task, folder)


def parallel_split(folder: Path, split: str, roles: Sequence[Role]) -> dict[str, str]:
    """Return a split's file for each role, if its files belong together line by line."""
    ways = (
        way
        for n in NAMES[split]
        for way in ((folder / n, ""), (folder, f"{n}."), (folder, f"{n}_"))
    )
    found = (parallel_files(home, before, roles) for home, before in ways)
    return next((files for files in found if files), {})


def _open_classes(task: TaskData, folder: Path) -> Opened:
    """Return the splits of a folder that has one for each class, maybe below one for each split."""
    inner = {path.name: path for path in folder.iterdir() if path.is_dir()}
    homes = {
        split: next((inner[name] for name in NAMES[split] if name in inner), None)
        for split in SPLITS
    }
    if not any(homes.values()):
        homes = {"train": folder}
    opened: Opened = {}
    for split, home in homes.items():
        if home is None or not (files := class_files(home)):
            continue
        opened[split] = partial(read_rows, task, split, files, "source", read_document)
        for path in filter(is_unlabelled, home.iterdir()):
            task.notes.append(
                f"{task.section}.source: the texts in '{path}' have no label; they are left out."
            )
    return opened


def _no_folder(folder: Path, name: str, section: str) -> Problem:
    expected = "to be a folder, `bundled:<name>` or `hub:<dataset>`"
    if folder.is_file():
        advice = f"Name it in `{section}.train`."
        return Problem(f"{section}.source", expected, f"got '{name}', a file", advice)
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    near = did_you_mean(folder.name, (path.name for path in beside if path.is_dir()))
    found = f"got '{name}', which does not exist"
    return Problem(f"{section}.source", expected, found, near.strip())


def split_file(folder: Path, split: str, section: str) -> Path | None:
    """Return a folder's file (or glob, for ``train-00000-of-00002.parquet``) of a split, if any.

    Raises:
        DataError: If several files could be meant.
    """
    names = "|".join(NAMES[split])
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
            Problem(
                f"{section}.source",
                f"to have one {split} file in '{folder}'",
                f"found {', '.join(found)}",
                f"Name the right one in `{section}.{split}`.",
            )
        )
    return folder / found[0] if found else None
