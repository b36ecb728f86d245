"""Columns of numbers on disk: a folder with a file for each, mapped when it is read.

::

    about.json         {"columns": {"ids": {"dtype": "int32", "shape": [5120], "crc32": …}, …}, …}
    ids.bin            the numbers of all lists of a column, one list behind the other
    ids.offsets.bin    where each list begins, and where the last one ends

A column may be larger than memory. Its checksum and size tell whether it is damaged.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from mtl.config.section import Values
from mtl.files import write_whole
from mtl.types import Array

ABOUT = "about.json"
OFFSETS = ".offsets"
FORMAT = 2
_BLOCK = 1 << 20


class Damaged(Exception):
    """A folder does not hold what was written; says why in a few words."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column's file holds: numbers of a NumPy type, in an array of a shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def file_of(folder: Path, name: str) -> Path:
    """Return the file of a column."""
    return folder / f"{name}.bin"


class ColumnWriter:
    """Writes columns into an existing folder as they come, some rows at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.columns: dict[str, Column] = {}
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> ColumnWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, name: str, values: Array) -> None:
        """Add rows to a column; all have one type, and one shape but for the first axis."""
        known = self.columns.get(name, Column(str(values.dtype), (0, *values.shape[1:])))
        assert known == Column(str(values.dtype), (known.shape[0], *values.shape[1:])), name
        if name not in self._files:
            self._files[name] = file_of(self.folder, name).open("xb")
        self._files[name].write(values.tobytes())
        rows = known.shape[0] + len(values)
        self.columns[name] = Column(known.dtype, (rows, *known.shape[1:]))

    def add_lists(self, name: str, lists: Sequence[Array]) -> None:
        """Add a list a row to a column of lists."""
        start = self.columns[name].shape[0] if name in self.columns else 0
        ends = start + np.cumsum([len(values) for values in lists], dtype=np.int64)
        self.add(name + OFFSETS, ends if name in self.columns else np.insert(ends, 0, 0))
        self.add(name, np.concatenate(lists))


def seal(folder: Path, columns: Mapping[str, Column], about: Mapping[str, object]) -> None:
    """Write what a folder's columns are, with their checksums, and flush all to the disk.

    What else is to be read with them, `about`, is written beside them as JSON.

    Raises:
        OSError: If something cannot be written.
    """
    entries = {
        name: {
            "dtype": column.dtype,
            "shape": column.shape,
            "crc32": _checksum(file_of(folder, name)),
        }
        for name, column in columns.items()
    }
    write_whole(folder / ABOUT, json.dumps({"format": FORMAT, "columns": entries, **about}))


def read_columns(folder: Path, *, check: bool = True) -> tuple[dict[str, Array], Values]:
    """Map a folder's columns; returns them, read-only, and what else was written about them.

    Args:
        folder: One that was sealed; its files may be removed while they are in use.
        check: Whether to compare checksums, which reads all files.

    Raises:
        Damaged: If the folder holds anything else.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise Damaged("it is of another format")
        entries = about["columns"].items()
        return {name: _mapped(folder, name, entry, check) for name, entry in entries}, about
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"its {ABOUT} or a file is missing or wrong: {error!r}") from error


def _mapped(folder: Path, name: str, entry: Values, check: bool) -> Array:
    column = Column(str(entry["dtype"]), tuple(map(int, entry["shape"])))
    path, dtype = file_of(folder, name), np.dtype(column.dtype)
    if path.parent != folder or dtype.kind not in "biuf":
        raise Damaged("it has a column that no cache has")
    if path.stat().st_size != column.size:
        raise Damaged(f"{path.name} is cut short, or too long")
    if check and _checksum(path) != entry["crc32"]:
        raise Damaged(f"the content of {path.name} is not what was written")
    if not column.size:
        return np.zeros(column.shape, dtype)
    return np.memmap(path, dtype, "r", shape=column.shape).view(np.ndarray)


def _checksum(path: Path) -> int:
    """Return the checksum of a file's content, which is on the disk when this returns."""
    found = 0
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found
