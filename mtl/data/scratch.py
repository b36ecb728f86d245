"""Folders for what a process keeps on disk only while it runs."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path


@functools.cache
def scratch_folder(name: str) -> Path:
    """Return this process's folder; it goes when the process ends, not when a fork of it does."""
    folder = Path(tempfile.mkdtemp(prefix=f"mtl-{name}-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
