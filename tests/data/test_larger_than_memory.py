"""Files are read a piece at a time: memory does not grow with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS, WORDS = 16_000, 1_000
TEXT = "word " * WORDS  # 5 kB a row, 80 MB a file
LIMIT = 50
"""MB that reading four times as much may take more."""

READ = """
import sys
from functools import partial
from pathlib import Path
import pyarrow.parquet, pyarrow.feather  # Not what is measured.
from mtl.data.readers import split, table
from mtl.data.rows import Role
from mtl.data.readers import read_split
from mtl.data.rows import BadRows

split.make_rows = partial(table.make_rows, limit=1 << 20)

def own():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["RssAnon"].split()[0]) / 1024

def watch(row):
    global most, seen
    seen += 1
    if seen % 500 == 0:
        most = max(most, own())
    return row

def read(path):
    return read_split(path, columns={"text": "text"}, roles=[Role("text", "text")],
                      bad_rows=BadRows(), split="train", key="data.train", check=watch)

most = seen = 0
read(sys.argv[2])  # Everything is imported, and the batch at hand has been in memory.
most = seen = 0
before = own()
rows = read(sys.argv[1])
most = max(most, own())
size = sum(len(row["text"]) for row in rows)
most = max(most, own())
print(len(rows), size, most - before)
"""


def jsonl(path: Path, count: int) -> Path:
    with (path := path.with_suffix(".jsonl")).open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps({"n": number, "text": TEXT}) + "\n")
    return path


def plain(path: Path, count: int) -> Path:
    (path := path.with_suffix(".txt")).write_text(f"{TEXT}\n\n" * count, encoding="utf-8")
    return path


def batch(count: int) -> pa.RecordBatch:
    return pa.record_batch({"n": list(range(count)), "text": [TEXT] * count})


def parquet(path: Path, count: int) -> Path:
    with pq.ParquetWriter(path := path.with_suffix(".parquet"), batch(1).schema) as file:
        for _ in range(max(1, count // 400)):
            file.write_batch(batch(min(count, 400)), row_group_size=400)
    return path


def arrow(path: Path, count: int) -> Path:
    with pa.ipc.new_file(str(path := path.with_suffix(".arrow")), batch(1).schema) as file:
        file.write_batch(batch(count))
    return path


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("write", [jsonl, plain, parquet, arrow])
def test_a_file_is_read_in_bounded_memory(
    tmp_path: Path, write: Callable[[Path, int], Path]
) -> None:
    large, small = write(tmp_path / "large", ROWS), write(tmp_path / "small", ROWS // 4)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(large), str(small)],
        capture_output=True,
        text=True,
        check=True,
    )
    count, size, growth = done.stdout.split()
    assert int(count) == ROWS
    assert int(size) >= ROWS * (len(TEXT) - 1)
    assert float(growth) < LIMIT
