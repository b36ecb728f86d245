"""Arrow files and streams, mapped from disk: what ``datasets`` saves, and Feather files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.readers.base import FORMATS, Cells, Format, Source, only_names
from mtl.data.readers.parquet import batch_rows

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1_000


def read_arrow(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of an Arrow file or stream; their number stands for their line."""
    import pyarrow as pa

    try:
        opened = open_arrow(source.path)
        yield from batch_rows(source, opened.schema, lambda columns: _slices(opened))
    except (pa.ArrowException, OSError, ValueError) as problem:
        reason = str(problem).partition(". ")[0].rstrip(".")
        raise source.fail(
            0, f"Expected an Arrow file, but found one that cannot be read: {reason}."
        ) from None


def open_arrow(path: Path) -> Any:
    """Return a reader of record batches, of a file or of a stream.

    Raises:
        pyarrow.ArrowInvalid: If it is neither.
    """
    import pyarrow as pa

    mapped = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_stream(mapped)


def _slices(opened: Any) -> Iterable[pa.RecordBatch]:
    """Yield small slices of batches, which may be of any size."""
    count = getattr(opened, "num_record_batches", None)
    batches = opened if count is None else (opened.get_batch(n) for n in range(count))
    for batch in batches:
        batch.validate(full=True)  # A damaged file may point anywhere.
        for start in range(0, batch.num_rows, _BATCH):
            yield batch.slice(start, _BATCH)


FORMATS.register("arrow")(Format(read_arrow, (".arrow", ".feather"), only_names))
