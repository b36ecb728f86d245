"""Parquet and Arrow files, and datasets of the Hub: batches of Arrow with types of ``datasets``.

Their columns have names and types; class numbers become their names where the data knows them. A
row's number, from 1, stands for its line. What is damaged is refused, wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.config.section import Values
from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns, only_names
from mtl.data.readers.dotted import cell, names_in, outer
from mtl.data.value_types import Converter
from mtl.errors import Mismatch, as_mismatch

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Features = Mapping[str, Any]
BATCH = 1_000
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class Typed:
    """A file's or a split's columns, and its rows in batches of Arrow."""

    schema: pa.Schema
    names: list[str]
    """The columns, each followed by those inside it."""
    features: Features
    """Types of ``datasets`` by column, where they are known."""
    batches: Callable[[list[str]], Iterable[pa.RecordBatch]]
    """Returns the rows, with the named columns or more."""


def of_dataset(dataset: Dataset) -> Typed:
    """Return the rows of a dataset."""
    schema = dataset.features.arrow_schema
    return Typed(
        schema,
        list(names_in(schema)),
        dataset.features,
        lambda columns: dataset.select_columns(columns).with_format("arrow").iter(BATCH),
    )


def open_parquet(path: Path) -> Typed:
    """Return a Parquet file's rows."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    return Typed(
        schema,
        list(names_in(schema)),
        features_of(schema),
        lambda columns: file.iter_batches(batch_size=BATCH, columns=columns),
    )


def open_arrow(path: Path) -> Typed:
    """Return an Arrow file's or stream's rows, mapped from disk."""
    import pyarrow as pa

    mapped = pa.memory_map(str(path))
    try:
        opened = pa.ipc.open_file(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        opened = pa.ipc.open_stream(mapped)

    def batches(columns: list[str]) -> Iterable[pa.RecordBatch]:
        count = getattr(opened, "num_record_batches", None)
        for batch in opened if count is None else map(opened.get_batch, range(count)):
            batch.validate(full=True)  # A damaged file may point anywhere.
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH).select(columns)

    schema = opened.schema
    return Typed(schema, list(names_in(schema)), features_of(schema), batches)


def features_of(schema: pa.Schema) -> Features:
    """Return the types of a schema that ``datasets`` wrote, none of another."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    found: Features = datasets.Features.from_arrow_schema(schema)
    return found


OPEN: dict[str, tuple[str, tuple[str, ...], Callable[[Path], Typed]]] = {
    "parquet": ("a Parquet file", (".parquet", ".pq"), open_parquet),
    "arrow": ("an Arrow file", (".arrow", ".feather"), open_arrow),
}


def column_names(format: str, source: Source) -> list[str]:
    """Return a file's columns, each followed by those inside it; none if it cannot be read."""
    try:
        return OPEN[format][2](source.path).names
    except Exception:  # whatever its library makes of a file of another format
        return []


def read_file(format: str, source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a file of a format in :data:`OPEN`.

    Raises:
        DataError: If it is something else, or damaged.
    """
    title, _, opener = OPEN[format]
    try:
        opened = opener(source.path)
    except Exception as problem:
        raise _damaged(source, title, problem) from None
    yield from read_rows(source, opened, partial(_damaged, source, title))


def read_rows(
    source: Source, opened: Typed, damaged: Callable[[Exception], Exception]
) -> Iterator[tuple[int, Cells]]:
    """Yield rows, numbered from 1.

    Args:
        source: What is wanted of them.
        opened: The rows.
        damaged: Returns what to raise where they cannot be read.

    Raises:
        DataError: If a needed column is not there.
    """
    check_columns(source, 0, opened.names)
    names = [str(column) for column in source.wanted if column in opened.names]
    decode = {name: decoder(cell(opened.features, name)) for name in names}
    columns = list(dict.fromkeys(outer(name, opened.schema.names) for name in names))
    batches = iter(opened.batches(columns))
    for number, row in enumerate(_rows(batches, damaged), start=1):
        try:
            yield number, {name: decode[name](cell(row, name)) for name in names}
        except ValueError as problem:
            source.reject(number, as_mismatch(problem, "a cell that can be read"), row)


def _rows(
    batches: Iterator[pa.RecordBatch], damaged: Callable[[Exception], Exception]
) -> Iterator[Values]:
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        except Exception as problem:
            raise damaged(problem) from None
        yield from rows


def _damaged(source: Source, title: str, problem: Exception) -> Exception:
    """Return what to raise for a file that its library cannot read."""
    while problem.__cause__ is not None and isinstance(problem.__cause__, Exception):
        problem = problem.__cause__
    reason = " ".join(str(problem).split()).partition(". ")[0].rstrip(".")
    return source.fail(0, title, f"found one that cannot be read: {reason}")


def decoder(feature: object) -> Converter:
    """Return what turns a cell of a ``datasets`` feature into names.

    Args:
        feature: A ``ClassLabel``, or a list of them, becomes names; -1, the usual mark of a class
            that is not told, becomes ``None``. Any other cell stays as it is.
    """
    if hasattr(feature, "int2str") and hasattr(feature, "names"):
        return partial(_name, list(feature.names))
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    each = _same if inner is None else decoder(inner)
    if each is _same:
        return _same
    return lambda cells: None if cells is None else [each(cell) for cell in cells]


def _same(cell: object) -> object:
    return cell


def _name(names: list[str], number: int | None) -> str | None:
    if number is None or number < 0:
        return None
    if number >= len(names):
        raise Mismatch(f"a class number below {len(names)}", f"got {number}")
    return names[number]


for _format, _about in OPEN.items():
    FORMATS.register(_format)(Format(partial(read_file, _format), _about[1], only_names))
