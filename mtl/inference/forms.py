"""How a file that a command names is written: as its options say, else as training's files were.

What training's files are like is kept with the model, and holds for a file of the same format. What
was only found there, not said, is tried first::

    letters.csv is read as in training: --delimiter=@@, --no-quoting.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.readers.compressed import ending_of, open_bytes
from mtl.data.readers.delimiters import in_key
from mtl.data.readers.several import Wish
from mtl.inference.columns import has, hashed

if TYPE_CHECKING:
    from mtl.inference.inputs import File
    from mtl.training.description import FilesDescription

UTF8 = "utf-8"
SPLITS = ("test", "validation", "train")
"""Whose columns are tried, in this order."""
_DIALECT = ("delimiter", "quoting", "comment")
_BLOCK = 1 << 20


def format_by_ending(path: Path, kept: Iterable[FilesDescription]) -> str | None:
    """Return the format that training was told for files of the same ending; None without one."""
    ending = ending_of(path)
    return _common(one.format for one in kept if one.found.get("ending") == ending)


def as_in_training(file: File, format: str, kept: Sequence[FilesDescription]) -> File:
    """Return a file with the options that the command leaves open as training's files had them.

    What is taken over is noted.

    Args:
        file: What the command names.
        format: Its format.
        kept: What is known of the files of each task.
    """
    alike = [one for one in kept if one.found.get("format", one.format) == format]
    said: dict[str, Any] = {}
    for name in _DIALECT:
        value = _common(getattr(one, name) for one in alike)
        if value is not None and getattr(file.dialect, name) is None:
            said[name] = value
    usual = {
        "usual_delimiter": _common(one.found.get("delimiter") for one in alike),
        "usual_quoting": _common(one.found.get("quoting") for one in alike),
    }
    header = _common(one.header for one in alike) if file.header is None else None
    told = {**said, **({} if header is None else {"header": header})}
    if told:
        shown = ", ".join(f"--{_shown(name, value)}" for name, value in told.items())
        file.notes.append(f"{file.name} is read as in training: {shown}.")
    return replace(
        file,
        dialect=replace(file.dialect, **said, **usual),
        header=file.header if header is None else header,
    )


def _common(values: Iterable[Any]) -> Any:
    """Return the value that all tasks have; None if they differ."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else None


def _shown(name: str, value: object) -> str:
    """Return an option as a command line has it."""
    if isinstance(value, bool):
        return name if value else f"no-{name}"
    text = in_key(str(value)) if name == "delimiter" else str(value)
    return f"{name}={text}"


def in_encoding(file: File, path: Path, kept: Iterable[FilesDescription]) -> File:
    """Return a file with its encoding: as said, else training's where it is not plainly UTF-8."""
    own = _common(one.encoding for one in kept)
    if file.encoding is not None or own is None or _same(own, UTF8):
        return file
    if not _may_be(path, own):
        return file
    file.notes.append(f"{file.name} is read as in training: --encoding={own}.")
    return replace(file, encoding=own)


def _same(one: str, other: str) -> bool:
    try:
        return codecs.lookup(one).name == codecs.lookup(other).name
    except LookupError:
        return False


def _may_be(path: Path, encoding: str) -> bool:
    """Whether a file is rather of another encoding than of UTF-8.

    Plain ASCII may be of any encoding that has it; where letters take two bytes or more, zero
    bytes tell.
    """
    wide = "a".encode(encoding) != b"a"
    decoder = codecs.getincrementaldecoder(UTF8)()
    plain = True
    try:
        with open_bytes(path) as file:
            while block := file.read(_BLOCK):
                if wide and b"\0" in block:
                    return not block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                plain = plain and block.isascii()
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return True
    return plain and not wide


def columns_of(
    file: File,
    columns: Mapping[str, Wish],
    kept: FilesDescription,
    names: Sequence[str],
    roles: Iterable[str],
) -> dict[str, Wish]:
    """Return a task's columns: those of the first split with columns of its own that a file has.

    Args:
        file: Takes a note of what is not the task's usual column.
        columns: The task's usual ones.
        kept: What is known of the task's files.
        names: The columns that the file has; empty where they have no names.
        roles: What is read.
    """
    wanted = list(roles)
    for split in (split for split in SPLITS if split in kept.columns):
        own = {role: c for role, c in kept.columns[split].items() if role in wanted}
        if own and all(c is None or _may_have(names, hashed(c)) for c in own.values()):
            differing = {r: c for r, c in own.items() if c != columns.get(r)}
            if differing:
                told = ", ".join(f"columns.{role}={column}" for role, column in differing.items())
                file.notes.append(f"{file.name} is read as the run's {split} split: {told}.")
            return {r: c for r, c in {**columns, **own}.items() if c is not None}
    return dict(columns)


def _may_have(names: Sequence[str], column: Any) -> bool:
    """Whether a file has a column, as far as its names tell; of numbers, whether it is as wide."""
    if isinstance(column, int):
        return not names or -len(names) <= column < len(names)
    if isinstance(column, tuple):
        return all(_may_have(names, one) for one in column)
    return not names or has(names, column)
