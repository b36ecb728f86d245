"""Compressed text files: gzip, bzip2, xz, zstd, and a zip archive of one file.

They are known by their first bytes, whatever they are called, and read as they are decompressed:
nothing is unpacked to the disk.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from mtl.errors import DataError, Place, Problem

ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
FREE = 1 << 28
"""Bytes that any compressed file may become."""
RATIO = 200
"""How many times its size a file may become beyond that; text becomes three to thirty times."""
_CHUNK = 4096
"""Compressed bytes at a time: few, as each may stand for thousands."""
_TAR = 257, b"ustar"
_PACKED = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading; what comes out of it is decompressed.

    Raises:
        DataError: If it is an archive of no or several files, or needs a package that is missing;
            on reading, if it is damaged or becomes far larger than text does.
    """
    with path.open("rb") as file:
        start = file.read(_TAR[0] + len(_TAR[1]))
    opener = next((o for fits, o in _OPENERS if fits(start)), None)
    if opener is None:
        _check_inside(path, start)
        return path.open("rb")
    try:
        raw = _Bounded(opener(path), path)
    except _BROKEN as problem:
        raise _damaged(path, problem) from None
    found = io.BufferedReader(raw, 1 << 16)
    _check_inside(path, found.peek(_TAR[0] + len(_TAR[1])))
    return found


def _check_inside(path: Path, start: bytes) -> None:
    """Refuse a file that begins as an archive does that is not read."""
    at, mark = _TAR
    if start[at : at + len(mark)] == mark:
        raise _archive(path, "it holds a tar archive")
    if start.startswith(_PACKED):
        raise _archive(path, "it holds an archive of another kind")
    if any(fits(start) for fits, _ in _OPENERS):
        raise _archive(path, "what it holds is compressed once more")


def check_unpacked(path: Path) -> None:
    """Refuse a file that zlib wrote and that becomes far larger than texts do.

    Raises:
        DataError: If it does.
    """
    most = max(FREE, RATIO * path.stat().st_size)
    unpacker, size = zlib.decompressobj(), 0
    with contextlib.suppress(zlib.error), path.open("rb") as file:  # What it is, reading it tells.
        while block := unpacker.unconsumed_tail or file.read(_CHUNK):
            size += len(unpacker.decompress(block, 1 << 20))
            if size > most:
                raise _too_large(path, most)


def ending_of(path: Path) -> str:
    """Return the ending of a file's name, in small letters; of what is in it where compressed."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        return ending
    if ending == ".zip":
        with contextlib.suppress(*_BROKEN), zipfile.ZipFile(path) as archive:
            names = list(_members(archive))
            return PurePosixPath(names[0]).suffix.lower() if len(names) == 1 else ""
    return path.with_suffix("").suffix.lower()


class _Bounded(io.RawIOBase):
    """Bytes that are decompressed, as long as they are no bomb."""

    def __init__(self, inner: BinaryIO, path: Path) -> None:
        self._inner = inner
        self._path = path
        self._most = max(FREE, RATIO * path.stat().st_size)
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        try:
            data = self._inner.read(len(view))
        except _BROKEN as problem:
            raise _damaged(self._path, problem) from None
        self._size += len(data)
        if self._size > self._most:
            raise _too_large(self._path, self._most)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Zstd(io.RawIOBase):
    """The bytes of a zstd file, of all its frames; one that is cut short is noticed."""

    def __init__(self, path: Path) -> None:
        import zstandard

        self._new = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj
        self._fault = zstandard.ZstdError
        self._frame = self._new()
        self._inside = False
        self._file = path.open("rb")
        self._waiting = b""

    def read(self, size: int = -1) -> bytes:
        while not self._waiting:
            unused = self._frame.unused_data if self._inside and self._frame.eof else b""
            chunk = unused or self._file.read(_CHUNK)
            if not chunk:
                if self._inside and not self._frame.eof:
                    raise EOFError("it ends in the middle")
                return b""
            if self._inside and self._frame.eof:
                self._frame = self._new()
            self._inside = True
            try:
                self._waiting = self._frame.decompress(chunk)
            except self._fault as problem:
                raise OSError(str(problem)) from None
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_with(opener: Callable[[Path], object], path: Path) -> BinaryIO:
    return cast(BinaryIO, opener(path))


def _open_zstd(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, _Zstd(path))
    except ModuleNotFoundError:
        raise DataError(
            Problem(
                Place(path),
                "the package zstandard, which reads zstd files",
                "it is not installed",
                "Run `pip install 'mtl[zstd]'`, or decompress the file.",
            )
        ) from None


def _open_zip(path: Path) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    names = list(_members(archive))
    outside = next((name for name in archive.namelist() if _leaves(name)), None)
    if outside is not None:
        raise _archive(path, f"the path '{outside}' in it leaves the archive's folder")
    if len(names) != 1:
        listed = ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])
        raise _archive(path, f"it holds {len(names):,}{listed and f': {listed}'}")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise _archive(path, "the file is locked by a password")
    try:
        return cast(BinaryIO, archive.open(names[0]))
    except NotImplementedError as problem:
        raise _archive(path, f"the file cannot be read: {problem}") from None


def _members(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield the names of the files in an archive, without what systems add to them."""
    for name in archive.namelist():
        parts = PurePosixPath(name).parts
        hidden = any(part.startswith(".") and part != ".." for part in parts)
        if not name.endswith("/") and "__MACOSX" not in parts and not hidden:
            yield name


def _leaves(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":"


def _archive(path: Path, found: str) -> DataError:
    advice = "Unpack it, and name the files; a glob names several."
    return DataError(Problem(Place(path), "an archive of one file", found, advice))


def _too_large(path: Path, most: int) -> DataError:
    return DataError(
        Problem(
            Place(path),
            f"a compressed text of at most {most:,} bytes",
            f"it becomes more, over {RATIO} times its own size, as a zip bomb does",
            "If it is right, decompress it and name what comes out.",
        )
    )


def _damaged(path: Path, problem: Exception) -> DataError:
    reason = " ".join(str(problem).split()).rstrip(".") or type(problem).__name__
    return DataError(
        Problem(
            Place(path),
            "a compressed file",
            f"it is damaged: {reason}",
            "Fetch it again.",
        )
    )


_OPENERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path], BinaryIO]], ...] = (
    (lambda start: start.startswith(b"\x1f\x8b"), partial(_open_with, gzip.open)),
    (
        lambda start: start.startswith(b"BZh") and start[4:10] in (b"1AY&SY", b"\x17rE8P\x90"),
        partial(_open_with, bz2.open),
    ),
    (lambda start: start.startswith(b"\xfd7zXZ\x00"), partial(_open_with, lzma.open)),
    (lambda start: start.startswith(b"\x28\xb5\x2f\xfd"), _open_zstd),
    (lambda start: start.startswith((b"PK\x03\x04", b"PK\x05\x06")), _open_zip),
)
