"""Columns inside columns, in every format that can have them."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl.config.schema import DataConfig
from mtl.data import hub
from mtl.data.readers import read_split
from mtl.data.readers.base import Source
from mtl.data.readers.peek import header
from mtl.data.rows import Role
from mtl.data.sources import Wanted, load_splits
from mtl.errors import DataError

from .roles import plain, write

ROLES = (Role("text", "text"), Role("target", "texts", target=True))
COLUMNS = {"text": "pair.en", "target": "pair.more.fr"}
ROWS = [
    {"pair": {"en": "good", "more": {"fr": "bon"}}, "id": 1},
    {"pair": {"en": "bad", "more": {"fr": "mauvais"}}, "id": 2},
]
WANTED = [{"text": "good", "target": ["bon"]}, {"text": "bad", "target": ["mauvais"]}]


def save(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    lines = json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows))
    return write(path, lines)


FILES = pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])


@FILES
def test_a_column_inside_a_column(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, ROWS)
    assert plain(read_split(path, columns=COLUMNS, roles=ROLES)) == WANTED
    names = ["pair", "pair.en", "pair.more", "pair.more.fr", "id"]
    assert header(Source(path, (), {}), path.suffix[1:]) == names


@FILES
def test_a_name_with_a_dot_is_a_name(tmp_path: Path, name: str) -> None:
    rows = [{"pair.en": "whole", "pair": {"en": "inner", "more": {"fr": "x"}}}]
    found = read_split(save(tmp_path / name, rows), columns=COLUMNS, roles=ROLES)
    assert plain(found) == [{"text": "whole", "target": ["x"]}]


@FILES
def test_one_that_is_not_there(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, ROWS)
    with pytest.raises(DataError, match=r"Expected a column 'pair\.xx', but found pair"):
        read_split(path, columns={**COLUMNS, "text": "pair.xx"}, roles=ROLES)
    with pytest.raises(DataError, match=r"Expected a column 'id\.xx', but found pair"):
        read_split(path, columns={**COLUMNS, "text": "id.xx"}, roles=ROLES)


@pytest.mark.parametrize("kind", ["translation", "struct"])
def test_of_the_hub(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    text = datasets.Value("string")
    inner = {"translation": datasets.Translation(["en", "fr"]), "struct": {"en": text, "fr": text}}
    features = datasets.Features({"id": text, "pair": inner[kind]})
    pairs = [{"en": f"text {n}", "fr": f"texte {n}"} for n in range(20)]
    made = datasets.Dataset.from_dict({"id": list("a" * 20), "pair": pairs}, features=features)
    monkeypatch.setattr(hub, "_load", lambda spec: {"train": made})
    columns = {"text": "pair.en", "target": "pair.fr"}
    splits = load_splits({"x": Wanted(DataConfig(source="hub:me/set"), columns, ROLES)}, 1)["x"]
    assert splits.train is not None
    assert splits.validation is not None
    found = {
        row["text"]: row["target"] for rows in (splits.train, splits.validation) for row in rows
    }
    assert found == {pair["en"]: [pair["fr"]] for pair in pairs}


def test_classes_inside_a_column(tmp_path: Path) -> None:
    features = datasets.Features({"a": {"mood": datasets.ClassLabel(names=["bad", "good"])}})
    made = datasets.Dataset.from_dict({"a": [{"mood": 1}, {"mood": 0}]}, features=features)
    made.to_parquet(tmp_path / "a.parquet")
    roles = [Role("label", "label")]
    found = read_split(tmp_path / "a.parquet", columns={"label": "a.mood"}, roles=roles)
    assert plain(found) == [{"label": "good"}, {"label": "bad"}]
