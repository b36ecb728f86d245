"""Arrow files and streams."""

from __future__ import annotations

import contextlib
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.feather
import pytest

from mtl.errors import DataError

from .roles import plain, read_classes, read_words, write

TABLE = pa.table({"label": [1, 0, 1], "text": ["a", "b", "c"], "more": [[1], [2], None]})


def save_file(path: Path) -> None:
    with pa.ipc.new_file(str(path), TABLE.schema) as file:
        file.write_table(TABLE, max_chunksize=2)


def save_stream(path: Path) -> None:
    with pa.ipc.new_stream(str(path), TABLE.schema) as stream:
        stream.write_table(TABLE, max_chunksize=2)


def test_files_and_streams(tmp_path: Path) -> None:
    save_file(tmp_path / "file.arrow")
    save_stream(tmp_path / "stream.arrow")
    pa.feather.write_feather(TABLE, str(tmp_path / "lz4.feather"))
    for path in tmp_path.iterdir():
        rows = read_classes(path)
        assert plain(rows)[2] == {"text": "c", "label": "1"}
        assert [row["_line"] for row in rows] == [1, 2, 3]


def test_what_datasets_saves(tmp_path: Path) -> None:
    tags = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features(
        {"tokens": datasets.List(datasets.Value("string")), "ner": datasets.List(tags)}
    )
    content = {"tokens": [["Ada", "Bell"], ["so"]], "ner": [[1, 2], [0]]}
    saved = datasets.Dataset.from_dict(content, features=features)
    saved.save_to_disk(str(tmp_path / "saved"), num_shards=2)
    rows = read_words(tmp_path / "saved" / "*.arrow", columns={"tokens": "tokens", "labels": "ner"})
    assert list(rows.column("labels")) == [["B-PER", "I-PER"], ["O"]]


def test_missing_column(tmp_path: Path) -> None:
    table = TABLE.rename_columns(["label", "txt", "more"])
    pa.feather.write_feather(table, str(tmp_path / "a.arrow"))
    with pytest.raises(DataError, match=r"Expected a column 'text'.*did you mean 'txt'"):
        read_classes(tmp_path / "a.arrow")


def test_no_arrow_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.arrow: Expected an Arrow file, but found"):
        read_classes(write(tmp_path / "a.arrow", "text,label\n"))


@pytest.mark.parametrize("save", [save_file, save_stream])
def test_no_damage_brings_the_process_down(tmp_path: Path, save: object) -> None:
    assert callable(save)
    save(tmp_path / "whole.arrow")
    whole = (tmp_path / "whole.arrow").read_bytes()
    path = tmp_path / "a.arrow"
    for at in range(8, len(whole), 5):
        for damaged in (whole[:at], whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :]):
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):  # The one error that is right.
                read_classes(path)
