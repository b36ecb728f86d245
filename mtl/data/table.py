"""A table of hidden states on disk: one safetensors file, written whole or not at all.

Its header names what the states were computed from (`key`) and holds a digest of them, so that a
file that is damaged, cut short or another one's is never read. Rows are read through a memory map.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NAME = "states"
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
INTEGERS = {2: np.int16, 4: np.int32, 8: np.int64}
"""NumPy types of the same size; NumPy has no bfloat16, and a copy need not know what it copies."""
CHUNK = 1 << 24
ALIGNED = 64
BLANK = "0" * 32

Numbers = npt.NDArray[np.integer[Any]]


class Damaged(Exception):
    """A file is not the table it should be; says why in a few words."""


class Table:
    """Rows of states that were written before.

    Args:
        path: Its file.
        key: What the states must have been computed from.
        rows: How many there must be.
        check: Whether to compare the digest, which reads the whole file.

    Raises:
        Damaged: If the file is anything else.
    """

    def __init__(self, path: Path, key: str, rows: int, *, check: bool = True) -> None:
        found, start = _read_header(path)
        try:
            about, entry = found["__metadata__"], found[NAME]
            same, digest = about["key"] == key, str(about["digest"])
            (count, self.width), self.dtype = map(int, entry["shape"]), TYPES[entry["dtype"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged("its header is another one") from error
        if not same:
            raise Damaged("it was computed from something else")
        size = start + count * self.width * self.dtype.itemsize
        if count != rows or path.stat().st_size != size:
            raise Damaged("it is cut short")
        if check and _digest(path, start) != digest:
            raise Damaged("its content is not what was written")
        self._rows = np.memmap(
            path, INTEGERS[self.dtype.itemsize], "r", offset=start, shape=(count, self.width)
        )

    def read(self, rows: Numbers) -> Tensor:
        """Return a copy of some rows, shape (len(rows), D)."""
        return torch.from_numpy(np.take(self._rows, rows, axis=0)).view(self.dtype)


class TableFile:
    """A table that is being written, beside the file that it becomes; several processes may.

    Args:
        path: The file beside the target.
        key: What the states are computed from.
        rows: How many there will be.
        width: D.
        dtype: Their type.
    """

    def __init__(self, path: Path, key: str, rows: int, width: int, dtype: torch.dtype) -> None:
        self.path = path
        self.key = key
        self.shape = (rows, width)
        self.dtype = dtype
        self._start = len(self._header(BLANK))

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._start + self.shape[0] * self.shape[1] * self.dtype.itemsize

    def create(self) -> None:
        """Make the file, with room for all rows where the system can promise it.

        Raises:
            OSError: If there is no room, or no right to write.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("xb") as file:
            file.write(self._header(BLANK))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self.size)
            file.truncate(self.size)

    def write(self, rows: Numbers, states: Tensor) -> None:
        """Write some rows.

        Args:
            rows: (n,) their numbers, in any order; one that occurs twice has the same states.
            states: (n, D).

        Raises:
            OSError: If the disk is full.
        """
        order, first = np.unique(rows, return_index=True)
        values = states.detach().cpu()[torch.from_numpy(first)].contiguous()
        plain = values.view(torch.uint8).numpy()
        step = self.shape[1] * self.dtype.itemsize
        cuts = np.flatnonzero(np.diff(order) != 1) + 1
        with self.path.open("r+b") as file:
            for numbers, part in zip(np.split(order, cuts), np.split(plain, cuts), strict=True):
                if len(numbers):
                    file.seek(self._start + int(numbers[0]) * step)
                    file.write(part.data)

    def finish(self, target: Path) -> None:
        """Seal the file with its digest, and give it its name.

        Raises:
            OSError: If it cannot be written.
        """
        with self.path.open("r+b") as file:
            file.write(self._header(_digest(self.path, self._start)))
            file.flush()
            os.fsync(file.fileno())
        self.path.replace(target)

    def _header(self, digest: str) -> bytes:
        """Return what stands before the rows; its length does not depend on the digest."""
        names = {dtype: name for name, dtype in TYPES.items()}
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        text = json.dumps(
            {
                "__metadata__": {"key": self.key, "digest": digest},
                NAME: {
                    "dtype": names[self.dtype],
                    "shape": list(self.shape),
                    "data_offsets": [0, size],
                },
            }
        ).encode()
        text += b" " * (-(8 + len(text)) % ALIGNED)
        return len(text).to_bytes(8, "little") + text


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return a safetensors file's header and where its data start."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise Damaged("it is cut short")
            return dict(json.loads(file.read(length))), 8 + length
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise Damaged("its header cannot be read") from error


def _digest(path: Path, start: int) -> str:
    found = hashlib.blake2b(digest_size=len(BLANK) // 2)
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
