"""Rows go into an Arrow table: in memory while it is small, on disk beyond that.

The file on disk lives in a temporary folder as long as the process that wrote it (``TMPDIR``
chooses the disk) and is mapped, not read: a corpus may be larger than memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.rows import Role, Rows, map_table
from mtl.data.scratch import scratch_folder
from mtl.data.value_types import VALUE_TYPES

if TYPE_CHECKING:
    import pyarrow as pa

    from mtl.types import Row

IN_MEMORY = 64 << 20
"""Bytes of Arrow data up to which a table stays in memory."""
_BATCH = 1_000
_WAITING = 4 << 20
"""Characters and words of rows that wait for their batch to fill."""
_numbers = count()


def make_rows(rows: Iterable[Row], roles: Sequence[Role], limit: int = IN_MEMORY) -> Rows:
    """Return rows as a table; columns without any value are left out.

    Args:
        rows: Converted rows, with ``_file``, ``_line`` and ``_id``.
        roles: The roles that rows may have.
        limit: Bytes beyond which the table goes to disk.
    """
    import pyarrow as pa

    records = [r.name for r in roles if VALUE_TYPES.get(r.type).storage == "json"]
    schema = _schema(roles)
    spool = _Spool(schema, limit)
    pending: list[Row] = []
    waiting = 0
    for row in rows:
        pending.append({**row, **{n: _dump(row[n]) for n in records if n in row}})
        waiting += sum(len(v) for v in pending[-1].values() if isinstance(v, str | list))
        if len(pending) == _BATCH or waiting > _WAITING:
            spool.add(pa.RecordBatch.from_pylist(pending, schema))
            pending, waiting = [], 0
    if pending:
        spool.add(pa.RecordBatch.from_pylist(pending, schema))
    table = spool.finish()
    filled = [f.name for f in schema if table.column(f.name).null_count < table.num_rows]
    return Rows(table.select(filled), set(records) & set(filled), path=spool.path)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _schema(roles: Sequence[Role]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "number": pa.float64(),
        "json": pa.string(),
    }
    fields = [(role.name, types[VALUE_TYPES.get(role.type).storage]) for role in roles]
    return pa.schema([*fields, ("_file", pa.string()), ("_line", pa.int64()), ("_id", pa.string())])


class _Spool:
    """Record batches in a list, until they are too many; then in a file."""

    def __init__(self, schema: pa.Schema, limit: int) -> None:
        self.schema = schema
        self.limit = limit
        self.batches: list[pa.RecordBatch] = []
        self.size = 0
        self.path: Path | None = None
        self.writer: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        self.size += batch.nbytes
        if self.writer is None and self.size > self.limit:
            self._spill()
        if self.writer is None:
            self.batches.append(batch)
        else:
            self.writer.write_batch(batch)

    def _spill(self) -> None:
        import pyarrow as pa

        self.path = scratch_folder("rows") / f"{next(_numbers)}.arrow"
        self.writer = pa.ipc.new_stream(str(self.path), self.schema)
        for batch in self.batches:
            self.writer.write_batch(batch)
        self.batches = []

    def finish(self) -> pa.Table:
        import pyarrow as pa

        if self.path is None:
            return pa.Table.from_batches(self.batches, self.schema).combine_chunks()
        self.writer.close()
        return map_table(self.path)
