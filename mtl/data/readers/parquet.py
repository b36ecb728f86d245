"""Parquet, batch by batch; class numbers become their names where the file knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns, only_names
from mtl.data.readers.dotted import cell, names_in, outer
from mtl.data.readers.features import decoders_of

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1_000


def read_parquet(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a Parquet file; they have no lines, so their number stands for it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source.path)
    except pa.ArrowInvalid as problem:
        reason = str(problem).partition(". ")[0].rstrip(".")
        raise source.fail(
            0, f"Expected a Parquet file, but found one that cannot be read: {reason}."
        ) from None
    return batch_rows(
        source, file.schema_arrow, lambda c: file.iter_batches(batch_size=_BATCH, columns=c)
    )


def batch_rows(
    source: Source, schema: pa.Schema, batches: Callable[[list[str]], Iterable[pa.RecordBatch]]
) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of record batches, numbered from 1.

    Args:
        source: The file.
        schema: Of its batches.
        batches: Returns the batches, with the named columns or more.
    """
    names = list(names_in(schema))
    check_columns(source, 0, names)
    wanted = [str(column) for column in source.wanted if column in names]
    decode = decoders_of(schema, wanted)
    columns = list(dict.fromkeys(outer(name, schema.names) for name in wanted))
    number = 0
    for batch in batches(columns):
        for cells in batch.select(columns).to_pylist():
            number += 1
            yield number, {name: decode[name](cell(cells, name)) for name in wanted}


FORMATS.register("parquet")(Format(read_parquet, (".parquet", ".pq"), only_names))
