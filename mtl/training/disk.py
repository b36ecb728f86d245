"""What to say when the disk is full."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from mtl.errors import CheckpointError

FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


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
        CheckpointError: If the disk is full.
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
