from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl.errors import DataError

from .roles import CLASSES, plain, read_classes, read_words, write


def test_rows_with_numbers(tmp_path: Path) -> None:
    table = pa.table({"label": [1, 0, 1], "text": ["a", "b", "c"], "more": [[1], [2], None]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    rows = read_classes(tmp_path / "a.parquet")
    assert plain(rows)[2] == {"text": "c", "label": "1"}
    assert [row["_line"] for row in rows] == [1, 2, 3]


def test_classes_become_names(tmp_path: Path) -> None:
    tags = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features(
        {"tokens": datasets.List(datasets.Value("string")), "ner": datasets.List(tags), "tag": tags}
    )
    content = {"tokens": [["Ada", "Bell"], ["so"]], "ner": [[1, 2], [0]], "tag": [2, -1]}
    datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "a.parquet")
    rows = read_words(tmp_path / "a.parquet", columns={"tokens": "tokens", "labels": "ner"})
    assert list(rows.column("labels")) == [["B-PER", "I-PER"], ["O"]]
    with pytest.raises(DataError, match=r"a\.parquet:2: Expected label in column 'tag'.*None"):
        read_classes(
            tmp_path / "a.parquet", columns={"label": "tag"}, roles=[r for r in CLASSES if r.target]
        )


def test_missing_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"txt": ["a"], "label": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"Expected a column 'text'.*did you mean 'txt'"):
        read_classes(tmp_path / "a.parquet")


def test_no_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: Expected a Parquet file, but found"):
        read_classes(write(tmp_path / "a.parquet", "text,label\n"))
