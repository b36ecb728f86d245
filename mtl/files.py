"""Files and folders that reach the disk whole or not at all.

They are written beside their place, flushed to the disk, and renamed: a kill, a full disk or an
error leaves what was there before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Literal, TextIO, overload

PART = ".part"
"""What the name of a file or folder ends with until it is whole."""
OLD = f".old{PART}"
"""What the name of a folder ends with that is being replaced."""


def write_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    Raises:
        OSError: If it cannot be written; what was there before is still there.
    """
    with open_whole(path) as file:
        file.write(text)


@overload
def open_whole(path: Path, mode: Literal["w"] = "w") -> AbstractContextManager[TextIO]: ...
@overload
def open_whole(path: Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...
@contextlib.contextmanager
def open_whole(path: Path, mode: str = "w") -> Iterator[Any]:
    r"""Open a file that takes its place when the block ends, and goes if it raises.

    Several processes may write one file: each has a name of its own for it, and the last one wins.

    Args:
        path: The file; one that is there is replaced.
        mode: ``w`` for text in UTF-8 with lines that end in ``\n``, ``wb`` for bytes.

    Raises:
        OSError: If it cannot be written; what was there before is still there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with beside.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    flush_folder(path.parent)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` once it is filled.

    A kill leaves the former folder or the new one, never a mixture; in the moment between them
    there is none.
    """
    beside, old = path.with_name(path.name + PART), path.with_name(path.name + OLD)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Let a file's new name reach the disk too; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_parts(*folders: Path) -> None:
    """Remove what a killed process had half written into some folders."""
    for folder in folders:
        for path in folder.glob(f"*{PART}"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
