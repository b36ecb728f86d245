"""Encoded examples in an Arrow file, mapped from disk: a split may be larger than memory.

One example, as a row of the file::

    {"ids": [1, 87, 3, 9, 2], "sizes": [4, 1], "windows": 1, "branches": [0],   # one branch
     "part": [0], "offset": [2], "group": [0], "grouped": true, "mass": 1.0,
     "owner": 17, "key": 468332143640581275, "target:labels": [1]}

Every column is a number or a list of numbers, so that an example is a few slices of the mapped
file: nothing is parsed, and nothing is copied until examples become a batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from mtl.types import Branch, Encoded

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4096
"""Examples of a record batch."""
_TARGET = "target:"
_LISTS = ("ids", "sizes", "branches", "part", "offset", "group")
_NUMBERS = {
    "windows": np.int32,
    "grouped": np.uint8,
    "mass": np.float64,
    "owner": np.int64,
    "key": np.uint64,
}

Array = npt.NDArray[Any]
TargetType = tuple[str, tuple[int, ...]]
"""A target's type, and its shape but for the first axis."""
Filed = tuple[Encoded, int, int]
"""An example, the number of the row it came from, and its document's key."""


def write_examples(path: Path, found: Iterable[Filed]) -> int:
    """Write examples as they come, a batch at a time; returns how many there were.

    All examples have the same targets: names, types, and shapes but for the first axis.

    Raises:
        OSError: If the disk is full or the folder cannot be written.
    """
    import pyarrow as pa

    count = 0
    writer = None
    with pa.OSFile(str(path), "wb") as file:
        for batch in _batches(found):
            count += len(batch)
            columns, types = _columns([example for example, _, _ in batch])
            columns["owner"] = pa.array(np.asarray([o for _, o, _ in batch], dtype=np.int64))
            columns["key"] = pa.array(np.asarray([k for _, _, k in batch], dtype=np.uint64))
            table = pa.RecordBatch.from_pydict(columns)
            if writer is None:
                writer = pa.ipc.new_file(
                    file, table.schema.with_metadata({"targets": json.dumps(types)})
                )
            writer.write_batch(table)
        if writer is None:
            writer = pa.ipc.new_file(file, pa.schema([]))
        writer.close()
    return count


def _batches(found: Iterable[Filed]) -> Iterator[list[Filed]]:
    batch: list[Filed] = []
    for item in found:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _columns(examples: Sequence[Encoded]) -> tuple[dict[str, pa.Array], dict[str, TargetType]]:
    """Return a batch's columns, and what each target is."""
    import pyarrow as pa

    parts = [[*e.documents, *(b.ids for b in e.branches)] for e in examples]
    nothing = np.zeros(0, dtype=np.int32)
    columns = {
        "ids": _lists([_joined(p) for p in parts], np.int32),
        "sizes": _lists([np.asarray([len(x) for x in p]) for p in parts], np.int32),
        "branches": _lists([np.asarray([b.document for b in e.branches]) for e in examples]),
        "part": _lists([e.part for e in examples]),
        "offset": _lists([e.offset for e in examples]),
        "group": _lists([nothing if e.group is None else e.group for e in examples]),
        "windows": pa.array(np.asarray([len(e.documents) for e in examples], dtype=np.int32)),
        "grouped": pa.array(np.asarray([e.group is not None for e in examples], dtype=np.uint8)),
        "mass": pa.array(np.asarray([e.mass for e in examples], dtype=np.float64)),
    }
    types: dict[str, TargetType] = {}
    for name, first in examples[0].targets.items():
        types[name] = (str(first.dtype), first.shape[1:])
        values = [e.targets[name] for e in examples]
        assert all((str(v.dtype), v.shape[1:]) == types[name] for v in values), name
        # Arrow has eight truth values a byte, NumPy one.
        dtype = np.uint8 if first.dtype == bool else first.dtype
        columns[_TARGET + name] = _lists([v.ravel() for v in values], dtype)
    return columns, types


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)


def _lists(arrays: Sequence[Array], dtype: Any = np.int32) -> pa.Array:
    import pyarrow as pa

    offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum([len(a) for a in arrays], out=offsets[1:])
    values = np.concatenate(arrays).astype(dtype, copy=False)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))


class ArrowExamples(Sequence[Encoded]):
    """Encoded examples of a file that :func:`write_examples` wrote; their arrays are read-only.

    Args:
        path: The file; it may be removed while it is in use.

    Raises:
        OSError: If there is none.
        ValueError: If it is damaged.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path = path
        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = self._file.schema.metadata or {}
        self._types: dict[str, TargetType] = json.loads(metadata.get(b"targets", "{}"))
        self._views: dict[int, dict[str, Any]] = {}
        count = self._file.num_record_batches
        last = self._file.get_batch(count - 1).num_rows if count else 0
        self._size = max(0, count - 1) * BATCH + last

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrowExamples, (self.path,)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...

    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...

    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        """Return one example; of a slice, a list."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(f"Expected an example below {self._size}, but got {index}")
        number, at = divmod(index % self._size, BATCH)
        view = self._views.get(number)
        if view is None:
            view = self._views[number] = _view(self._file.get_batch(number))
        return self._example(view, at)

    def _example(self, view: Mapping[str, Any], at: int) -> Encoded:
        ids, parts, end = view["ids"][at], [], 0
        for size in view["sizes"][at].tolist():
            parts.append(ids[end : end + size])
            end += size
        windows = int(view["windows"][at])
        owners = view["branches"][at].tolist()
        return Encoded(
            documents=parts[:windows],
            part=view["part"][at],
            offset=view["offset"][at],
            targets={
                name: view[_TARGET + name][at].view(dtype).reshape(-1, *shape)
                for name, (dtype, shape) in self._types.items()
            },
            mass=float(view["mass"][at]),
            branches=[Branch(d, p) for d, p in zip(owners, parts[windows:], strict=True)],
            group=view["group"][at] if view["grouped"][at] else None,
        )

    @cached_property
    def figures(self) -> dict[str, Array]:
        """Return what planning needs of each example, each of shape (n,).

        ``length``: tokens; ``reads``: positions; ``mass``, ``owner`` and ``key``.
        """
        found: dict[str, list[Array]] = {n: [] for n in ("length", "reads", "mass", "owner", "key")}
        for number in range(self._file.num_record_batches):
            view = _view(self._file.get_batch(number))
            found["length"].append(np.diff(view["ids"].offsets).astype(np.int32))
            found["reads"].append(np.diff(view["part"].offsets).astype(np.int32))
            for name in ("mass", "owner", "key"):
                found[name].append(view[name])
        types = {"length": np.int32, "reads": np.int32, **_NUMBERS}
        return {n: np.concatenate([np.zeros(0, types[n]), *a]) for n, a in found.items()}


class _Lists:
    """A column of lists, as slices of its values."""

    def __init__(self, column: pa.LargeListArray) -> None:
        self.offsets = column.offsets.to_numpy(zero_copy_only=True)
        self.values = column.values.to_numpy(zero_copy_only=True)

    def __getitem__(self, index: int) -> Array:
        found: Array = self.values[self.offsets[index] : self.offsets[index + 1]]
        return found


def _view(batch: pa.RecordBatch) -> dict[str, Any]:
    """Return a batch's columns as NumPy arrays that lie in the mapped file."""
    view: dict[str, Any] = {}
    for name in batch.schema.names:
        column = batch.column(name)
        listed = name in _LISTS or name.startswith(_TARGET)
        view[name] = _Lists(column) if listed else column.to_numpy(zero_copy_only=True)
    return view
