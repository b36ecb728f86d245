"""Files and folders that reach the disk whole or not at all, and what to say when it is full."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from mtl.errors import CheckpointError

PART = ".part"
"""What the name of a file or folder ends with until it is whole."""
OLD = f".old{PART}"
"""What the name of a folder ends with that is being replaced."""
FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, flush it to the disk, and rename it."""
    beside = path.with_name(path.name + PART)
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
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


def remove_parts(run_dir: Path) -> None:
    """Remove what a killed run had half written."""
    for folder in (run_dir, run_dir / "checkpoints"):
        for path in folder.glob(f"*{PART}"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def reason(error: BaseException) -> str:
    """Return why something was not written; PyTorch hides the system's own words."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__cause__ or found.__context__
    words = found.strerror if isinstance(found, OSError) and found.strerror else str(error)
    return " ".join(words.split()).rstrip(".")


@contextlib.contextmanager
def full_disk(run_dir: Path) -> Iterator[None]:
    """Turn a full disk, whatever was being written, into a user's error.

    Raises:
        CheckpointError: Then.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if not _is_full(error):
            raise
        place = getattr(error, "filename", None) or run_dir
        raise CheckpointError(
            f"{place}: Expected room on the disk, but {reason(error)}. The checkpoints are as they "
            f"were; free some space and continue with resume={run_dir}."
        ) from error


def _is_full(error: OSError | SafetensorError) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    number = re.search(r"\(os error (\d+)\)", str(error))
    return number is not None and int(number[1]) in FULL
