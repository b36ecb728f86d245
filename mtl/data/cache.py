"""Encoded examples are kept between runs, under a fingerprint of all that they follow from.

::

    ~/.cache/mtl/examples/3f0c…/examples.arrow     see mtl/data/examples.py
    ~/.cache/mtl/examples/3f0c…/about.json         {"bytes": …, "crc32": …, "counts": {…}}

An entry is written in a folder of its own beside its place and then renamed, so that it is there
whole or not at all, however many processes write it at once.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from mtl.data.examples import ArrowExamples, Filed, write_examples
from mtl.data.scratch import scratch_folder
from mtl.errors import DataError

EXAMPLES, ABOUT = "examples.arrow", "about.json"
VARIABLE = "MTL_CACHE"


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


@dataclass(frozen=True)
class Entry:
    """Examples, and what was counted while they were encoded."""

    examples: ArrowExamples
    counts: dict[str, int]


class ExampleCache:
    """Keeps examples on disk; without a folder, for as long as the process lives.

    Args:
        folder: Where entries are kept between runs; nowhere when None.
        note: Says a sentence to the user.
        least: Splits with fewer rows than this are not worth a file.
    """

    def __init__(
        self,
        folder: Path | None = None,
        note: Callable[[str], None] = lambda sentence: None,
        least: int = 10_000,
    ) -> None:
        self.folder = folder and folder / "examples"
        self.note = note
        self.least = least

    def find(self, name: str) -> Entry | None:
        """Return the entry of a fingerprint, if it is there and sound; a damaged one goes."""
        if self.folder is None or not (place := self.folder / name).is_dir():
            return None
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            self.note(
                f"{place}: Expected examples that an earlier run encoded, but they are damaged "
                f"({problem}); they are encoded anew."
            )
            shutil.rmtree(place, ignore_errors=True)
            return None

    def keep(
        self, name: str, found: Iterable[Filed], counts: Callable[[], dict[str, int]]
    ) -> Entry:
        """Write examples as they come and return them.

        Args:
            name: Their fingerprint.
            found: Made once, while they are written.
            counts: Called at the end: what was counted on the way.

        Raises:
            DataError: If they can be written neither to the cache nor to the temporary folder.
        """
        beside = self._beside(name)
        try:
            write_examples(beside / EXAMPLES, found)
            counted = counts()
            about = {**_checksum(beside / EXAMPLES), "counts": counted}
            (beside / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        except OSError as problem:
            shutil.rmtree(beside, ignore_errors=True)
            raise DataError(
                f"{beside.parent}: Expected to write encoded examples, but {problem}. Free some "
                "space, or name a folder with more in `cache.dir`."
            ) from problem
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return Entry(ArrowExamples(self._publish(beside, name) / EXAMPLES), counted)

    def _beside(self, name: str) -> Path:
        if self.folder is not None:
            try:
                beside = self.folder / f".{name}.{uuid4().hex}"  # Not private, as mkdtemp's are.
                beside.mkdir(parents=True)
                return beside
            except OSError as problem:
                self.note(
                    f"{self.folder}: encoded examples are not kept for the next run, because "
                    f"{problem}; see `cache.dir`."
                )
                self.folder = None
        return Path(tempfile.mkdtemp(dir=scratch_folder("examples")))

    def _publish(self, beside: Path, name: str) -> Path:
        """Give a finished folder its name; where another process was first, it goes at the end."""
        if self.folder is None:
            return beside
        _flush(beside / EXAMPLES)
        _flush(beside / ABOUT)
        place = self.folder / name
        try:
            beside.rename(place)
        except OSError:
            if not place.is_dir():
                raise
            atexit.register(shutil.rmtree, beside, ignore_errors=True)
            return beside
        return place


def _read(place: Path) -> Entry:
    about: Mapping[str, Any] = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    found = _checksum(place / EXAMPLES)
    if {key: about[key] for key in found} != found:
        raise ValueError("the checksum differs")
    counts = {str(name): int(count) for name, count in about["counts"].items()}
    return Entry(ArrowExamples(place / EXAMPLES), counts)


def _checksum(path: Path) -> dict[str, int]:
    crc, size = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
            size += len(block)
    return {"bytes": size, "crc32": crc}


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
