"""Parquet, batch by batch; class numbers become their names where the file knows them."""

from __future__ import annotations

from collections.abc import Iterator

from mtl.data.readers.base import FORMATS, Cells, Format, Source, check_columns, only_names
from mtl.data.readers.dotted import cell, names_in, outer
from mtl.data.readers.features import decoders_of

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
    names = list(names_in(file.schema_arrow))
    check_columns(source, 0, names)
    wanted = [str(column) for column in source.wanted if column in names]
    decode = decoders_of(file.schema_arrow, wanted)
    columns = list(dict.fromkeys(outer(name, file.schema_arrow.names) for name in wanted))
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
        for cells in batch.to_pylist():
            number += 1
            yield number, {name: decode[name](cell(cells, name)) for name in wanted}


FORMATS.register("parquet")(Format(read_parquet, (".parquet", ".pq"), only_names))
