"""What is kept on disk so that it is computed once: encoded examples, a frozen trunk's states.

::

    ~/.cache/mtl/examples/3f0c…/     see mtl/data/columns.py
    RUN/states/91ab…/

An entry is named by a hash of all that it follows from, so that only what is the same finds it. It
is written in a folder beside its place and then renamed: it is there whole or not at all, however
many processes write it at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from uuid import uuid4

from mtl.config.section import Values
from mtl.data.columns import Column, Damaged, read_columns, seal
from mtl.data.examples import Filed, MappedExamples, write_examples
from mtl.data.scratch import scratch_folder
from mtl.errors import DataError
from mtl.files import PART, flush_folder
from mtl.types import Array

VARIABLE = "MTL_CACHE"
STALE = 24 * 3600
"""Seconds after which an entry that was never finished is removed."""

Note = Callable[[str], None]


def cache_folder(chosen: str | Path | None = None) -> Path:
    """Return where things are kept between runs.

    Args:
        chosen: The folder that the configuration names, if it does. Else it is the environment's
            ``MTL_CACHE``, else ``mtl`` in ``XDG_CACHE_HOME``, else ``~/.cache/mtl``.
    """
    if chosen is not None or os.environ.get(VARIABLE):
        return Path(chosen or os.environ[VARIABLE]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mtl"


def cache_key(content: Mapping[str, object]) -> str:
    """Return the name of an entry: a hash of what it follows from, as JSON."""
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Cache:
    """Entries of one sort in a folder.

    Args:
        folder: Where they lie; made when the first one is written.
        note: Says a sentence to the user.
    """

    def __init__(self, folder: Path, note: Note = lambda sentence: None) -> None:
        self.folder = folder
        self.note = note

    def find(self, key: str, *, check: bool = True) -> tuple[dict[str, Array], Values] | None:
        """Return the columns of an entry and what was written about them.

        Args:
            key: Its name.
            check: Whether to compare checksums; an entry that is damaged goes, and is noted.
        """
        place = self.folder / key
        if not place.is_dir():
            return None
        try:
            columns, about = read_columns(place, check=check)
            if about.get("key") != key:
                raise Damaged("it was computed from something else")
        except Damaged as problem:
            self.note(f"{place}: damaged ({problem}), so that it is made anew.")
            shutil.rmtree(place, ignore_errors=True)
            return None
        return columns, about

    def begin(self, key: str) -> Path:
        """Return a new folder for an entry that is to be written.

        Raises:
            OSError: If it cannot be made.
        """
        beside = self.folder / f".{key}.{uuid4().hex}{PART}"  # Not private, as mkdtemp's are.
        beside.mkdir(parents=True)
        for part in self.folder.glob(f"*{PART}"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE:
                    shutil.rmtree(part) if part.is_dir() else part.unlink()
        return beside

    def publish(
        self, beside: Path, key: str, columns: Mapping[str, Column], about: Mapping[str, object]
    ) -> Path:
        """Give a filled folder its name; returns its place.

        Where another process was first, its entry, which is equal, stays.

        Raises:
            OSError: If it cannot be written.
        """
        seal(beside, columns, {"key": key, **about})
        place = self.folder / key
        try:
            beside.rename(place)
        except OSError:
            if not place.is_dir():
                raise
            shutil.rmtree(beside, ignore_errors=True)
        flush_folder(self.folder)
        return place


Entry = tuple[MappedExamples, dict[str, int]]
"""Examples, and what was counted while they were encoded."""


class ExampleCache:
    """Keeps examples on disk; without a folder, for as long as the process lives.

    Args:
        folder: Where entries are kept between runs; nowhere when None.
        note: Says a sentence to the user.
        least: Splits with fewer rows than this are not worth a file.
    """

    def __init__(
        self, folder: Path | None = None, note: Note = lambda sentence: None, least: int = 10_000
    ) -> None:
        self.cache = None if folder is None else Cache(folder / "examples", note)
        self.least = least

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key, if it is there and sound."""
        found = self.cache.find(key) if self.cache is not None else None
        if self.cache is None or found is None:
            return None
        return MappedExamples(self.cache.folder / key), dict(found[1].get("counts", {}))

    def keep(
        self, key: str, examples: Iterable[Filed], counts: Callable[[], dict[str, int]]
    ) -> Entry:
        """Write examples as they come and return them.

        Args:
            key: The entry's name.
            examples: Made once, while they are written.
            counts: Called at the end: what was counted on the way.

        Raises:
            DataError: If they can be written neither to the cache nor to the temporary folder.
        """
        beside = self._beside(key)
        try:
            columns = write_examples(beside, examples)
            counted = counts()
            if self.cache is None:
                seal(beside, columns, {})
                return MappedExamples(beside), counted
            place = self.cache.publish(beside, key, columns, {"counts": counted})
        except OSError as problem:
            shutil.rmtree(beside, ignore_errors=True)
            raise DataError(
                f"{beside.parent}: Expected to write encoded examples, but {problem}. Free some "
                "space, or name a folder with more in `cache.dir`."
            ) from problem
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return MappedExamples(place), counted

    def _beside(self, key: str) -> Path:
        if self.cache is not None:
            try:
                return self.cache.begin(key)
            except OSError as problem:
                self.cache.note(
                    f"{self.cache.folder}: encoded examples are not kept for the next run, because "
                    f"{problem}; see `cache.dir`."
                )
                self.cache = None
        return Path(tempfile.mkdtemp(dir=scratch_folder("examples")))
