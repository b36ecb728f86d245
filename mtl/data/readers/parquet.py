"""Parquet, batch by batch; class numbers become their names where the file knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns, only_names
from mtl.data.readers.dotted import cell, names_in, outer
from mtl.data.readers.features import decoders_of

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1_000


def read_parquet(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a Parquet file; their number stands for their line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source.path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as problem:
        raise damaged(source, "a Parquet file", problem) from None
    yield from batch_rows(
        source,
        "a Parquet file",
        schema,
        lambda columns: file.iter_batches(batch_size=_BATCH, columns=columns),
    )


def batch_rows(
    source: Source,
    kind: str,
    schema: pa.Schema,
    batches: Callable[[list[str]], Iterable[pa.RecordBatch]],
) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of record batches, numbered from 1.

    Args:
        source: The file.
        kind: What it should be, for messages.
        schema: Of its batches.
        batches: Returns the batches, with the named columns or more.
    """
    import pyarrow as pa

    try:
        names = list(names_in(schema))
        wanted = [str(column) for column in source.wanted if column in names]
        decode = decoders_of(schema, wanted)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as problem:
        raise damaged(source, kind, problem) from None
    check_columns(source, 0, names)
    columns = list(dict.fromkeys(outer(name, schema.names) for name in wanted))
    for number, cells in enumerate(_rows(source, kind, iter(batches(columns)), columns), start=1):
        try:
            yield number, {name: decode[name](cell(cells, name)) for name in wanted}
        except ValueError as problem:
            source.reject(number, str(problem), cells)


def _rows(
    source: Source, kind: str, batches: Iterator[pa.RecordBatch], columns: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, which may be damaged behind its beginning."""
    import pyarrow as pa

    while True:
        try:
            rows = next(batches).select(columns).to_pylist()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, ValueError) as problem:
            raise damaged(source, kind, problem) from None
        yield from rows


def damaged(source: Source, kind: str, problem: Exception) -> Exception:
    """Return what to raise for a file that its library cannot read."""
    reason = " ".join(str(problem).split()).partition(". ")[0].rstrip(".")
    return source.fail(0, f"Expected {kind}, but found one that cannot be read: {reason}.")


FORMATS.register("parquet")(Format(read_parquet, (".parquet", ".pq"), only_names))
