"""Parquet, batch by batch; class numbers become their names where the file knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns, only_names
from mtl.data.readers.dotted import cell, names_in, outer
from mtl.data.readers.features import decoders_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BATCH = 1_000


def read_parquet(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a Parquet file; they have no lines, so their number stands for it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source.path)
        names = list(names_in(file.schema_arrow))
        wanted = [str(column) for column in source.wanted if column in names]
        decode = decoders_of(file.schema_arrow, wanted)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as problem:
        raise source.fail(0, _damaged(problem)) from None
    check_columns(source, 0, names)
    columns = list(dict.fromkeys(outer(name, file.schema_arrow.names) for name in wanted))
    for number, cells in enumerate(_rows(source, file, columns), start=1):
        try:
            yield number, {name: decode[name](cell(cells, name)) for name in wanted}
        except ValueError as problem:
            source.reject(number, str(problem), cells)


def _rows(source: Source, file: pq.ParquetFile, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, which may be damaged behind its end."""
    import pyarrow as pa

    batches = file.iter_batches(batch_size=_BATCH, columns=columns)
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, ValueError) as problem:
            raise source.fail(0, _damaged(problem)) from None
        yield from rows


def _damaged(problem: Exception) -> str:
    reason = " ".join(str(problem).split()).partition(". ")[0].rstrip(".")
    return f"Expected a Parquet file, but found one that cannot be read: {reason}."


FORMATS.register("parquet")(Format(read_parquet, (".parquet", ".pq"), only_names))
