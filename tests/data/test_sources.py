import dataclasses
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from mtl.config.schema import DataConfig
from mtl.config.section import read
from mtl.data import hub
from mtl.data.origins import BUNDLED
from mtl.data.rows import Rows
from mtl.data.sources import Splits, Wanted, load_splits
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, CONLL, NAMED, NER, write

CSV = "text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(20))
TAGS = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
FEATURES = datasets.Features(
    {
        "tokens": datasets.List(datasets.Value("string")),
        "ner": datasets.List(TAGS),
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["neg", "pos"]),
    }
)


def load(roles: Any = CLASSES, columns: Any = NAMED, seed: int = 1, **data: Any) -> Splits:
    options = {k: str(v) if isinstance(v, Path) else v for k, v in data.items()}
    return load_section(read(DataConfig, options, "tasks.x.data"), columns, roles, seed)


def load_section(
    data: DataConfig,
    columns: Any = NAMED,
    roles: Any = CLASSES,
    seed: int = 1,
    **options: Any,
) -> Splits:
    return load_splits({"x": Wanted(data, columns, roles)}, seed, **options)["x"]


def sizes(splits: Splits) -> list[int | None]:
    return [None if s is None else len(s) for s in (splits.train, splits.validation, splits.test)]


def texts(rows: Rows | None) -> list[str]:
    assert rows is not None
    return [row["text"] for row in rows]


def test_a_folder(tmp_path: Path) -> None:
    for name in ("train.csv", "dev.csv", "test.csv", "notes.md", "retrain.csv"):
        write(tmp_path / name, CSV.replace("text ", f"text of {name} "))
    splits = load(source=tmp_path)
    assert sizes(splits) == [20, 20, 20]
    assert splits.notes == []
    assert splits.validation is not None
    assert splits.validation[3]["_id"] == "validation-3"


def test_a_folder_named_as_conll_2003(tmp_path: Path) -> None:
    for name, word in (("train", "a"), ("testa", "b"), ("testb", "c")):
        write(tmp_path / f"eng.{name}", f"{word} O\n")
    splits = load(NER, CONLL, source=tmp_path)
    found = [s[0]["tokens"] for s in (splits.train, splits.validation, splits.test) if s]
    assert found == [["a"], ["b"], ["c"]]


def test_a_folder_of_shards(tmp_path: Path) -> None:
    for part in range(2):
        table = datasets.Dataset.from_dict({"text": [f"{part}a", f"{part}b"], "label": [0, 1]})
        table.to_parquet(tmp_path / f"train-0000{part}-of-00002.parquet")
    splits = load(source=tmp_path)
    assert {*texts(splits.train), *texts(splits.validation)} == {"0a", "0b", "1a", "1b"}


def test_a_folder_that_is_unclear(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", CSV)
    write(tmp_path / "train.old.csv", CSV)
    expected = r"tasks\.x\.data\.source` to have one train file .*train\.csv, train\.old\.csv"
    with pytest.raises(DataError, match=expected):
        load(source=tmp_path)


def test_files_win_over_the_source(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        write(tmp_path / name, CSV)
    other = write(tmp_path / "other.csv", "text,label\nonly,1\n")
    splits = load(source=tmp_path, validation=other)
    assert sizes(splits) == [20, 1, 20]


def test_a_training_file_replaces_a_bundled_source(tmp_path: Path) -> None:
    splits = load(source="bundled:newsroom", train=write(tmp_path / "mine.csv", CSV))
    assert sizes(splits) == [18, 2, None]
    assert "no split comes from 'bundled:newsroom'" in splits.notes[0]


def test_the_bundled_corpus_and_a_test_file(tmp_path: Path) -> None:
    columns = {"text": "text", "label": "sentiment", "id": "id"}
    splits = load(columns=columns, source="bundled:newsroom", format="csv", max_examples=5)
    assert sizes(splits) == [5, 5, 5]
    assert splits.test is not None
    assert splits.test[0]["_file"] == str(BUNDLED / "newsroom" / "test.jsonl")
    path = write(tmp_path / "a.csv", "text,sentiment\nso,neutral\n")
    columns = {"text": "text", "label": "sentiment"}
    mixed = load(columns=columns, source="bundled:newsroom", test=path, max_train_examples=7)
    assert sizes(mixed)[::2] == [7, 1]


def test_validation_is_cut_from_train_and_said_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    first, again, other = load(train=path), load(train=path), load(train=path, seed=2)
    assert sizes(first) == [18, 2, None]
    assert sorted(texts(first.train) + texts(first.validation)) == sorted(
        f"text {n}" for n in range(20)
    )
    assert texts(first.validation) == texts(again.validation)
    assert texts(first.validation) != texts(other.validation)
    assert first.notes == [
        "tasks.x.data: there is no validation split, so 2 of 20 training rows serve as one "
        "(validation_fraction=0.1, seed=1; rows of one text stay together, in all tasks)."
    ]


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    broken = write(tmp_path / "b.csv", "nothing\n")
    data = DataConfig(train=str(broken), test=str(path))
    assert sizes(load_section(data, only=["test"])) == [
        None,
        None,
        20,
    ]
    data = DataConfig(train=str(path), test=str(broken))
    splits = load_section(data, only=["validation"])
    assert sizes(splits) == [None, 2, None]


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "train.csv", CSV)
    monkeypatch.chdir(tmp_path)
    assert sizes(load(train="train.csv"))[0] == 18
    assert sizes(load(source="."))[0] == 18
    monkeypatch.chdir("/")
    data = DataConfig(train="train.csv")
    assert sizes(load_section(data, base_dir=tmp_path))[0] == 18


def test_skipped_rows_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV + ",1\n")
    splits = load(train=path, on_bad_row="skip", validation=path)
    assert sizes(splits) == [20, 20, None]
    assert len(splits.bad_rows) == 2
    assert splits.notes[-1].startswith("2 rows were skipped (`tasks.x.data.on_bad_row=skip`)")


def test_a_column_that_is_nowhere_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 1}\n')
    roles = (*CLASSES, dataclasses.replace(CLASSES[0], name="title", required=False))
    splits = load(roles, {**NAMED, "title": "ttile"}, train=path)
    assert splits.notes[-1] == "tasks.x.data: no row has column 'ttile' (`title`)."
    assert len(load(roles, {**NAMED, "title": "title"}, train=path).notes) == 1


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, ConfigError, r"`tasks\.x\.data\.source` to be set, or `tasks\.x\.data\.train`"),
        ({"source": "bundled:newsrom"}, ConfigError, r"tasks\.x\.data\.source.*bundled:newsroom"),
        ({"source": "bundle:newsroom"}, ConfigError, r"tasks\.x\.data\.source.*mean 'bundled'"),
        ({"source": "no/where"}, DataError, r"tasks\.x\.data\.source` to be a folder, `bund"),
        (
            {"train": "no/where"},
            DataError,
            r"tasks\.x\.data\.train` to name a file, but there is none at 'no/where",
        ),
        ({"train": "a", "validation_fraction": 1.5}, ConfigError, r"data\.validation_fraction"),
        (
            {"train": "a", "max_examples": 0},
            ConfigError,
            r"data\.max_examples` to be a whole number at least 1",
        ),
        ({"train": "a", "on_bad_row": "drop"}, ConfigError, r"`tasks\.x\.data\.on_bad_row` to be"),
    ],
)
def test_options_that_do_not_fit(
    data: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(**data)


def test_a_source_without_training_rows(tmp_path: Path) -> None:
    write(tmp_path / "test.csv", CSV)
    with pytest.raises(DataError, match=r"to have a training split in .*, but found test\."):
        load(source=tmp_path)


def test_one_row_cannot_be_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nonly,1\n")
    with pytest.raises(DataError, match=r"tasks\.x\.data\.train` to have two rows or more, to cut"):
        load(train=path)


def dataset(**changes: Any) -> datasets.Dataset:
    content = {
        "tokens": [["Ada", "Bell"], ["so"]],
        "ner": [[1, 2], [0]],
        "text": ["good", "bad"],
        "label": [1, 0],
    }
    return datasets.Dataset.from_dict({**content, **changes}, features=FEATURES)


def test_a_local_folder_through_the_datasets_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for split in ("train", "validation"):
        (tmp_path / "set" / "data").mkdir(parents=True, exist_ok=True)
        dataset().to_parquet(tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet")
    splits = load(NER, {"tokens": "tokens", "labels": "ner"}, source=f"hub:{tmp_path}/set")
    assert sizes(splits) == [2, 2, None]
    assert splits.train is not None
    assert splits.train[0]["labels"] == ["B-PER", "I-PER"]
    assert splits.train[1]["_file"].endswith("set/train")
    assert splits.train[1]["_line"] == 2
    assert texts(load(source=f"hub:{tmp_path}/set").train) == ["good", "bad"]


class Loader:
    """Stands in for `load_dataset`, and remembers how it was called."""

    def __init__(self, splits: dict[str, Any], script: bool = False) -> None:
        self.splits = splits
        self.script = script
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, path: str, **options: Any) -> dict[str, Any]:
        self.calls.append((path, options))
        if self.script and options["revision"] != hub.PARQUET:
            raise RuntimeError("Dataset scripts are no longer supported, but found set.py")
        return self.splits


def test_revision_and_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    dev = dataset(text=["fine", "poor"])
    loader = Loader({"train": dataset(), "dev": dev, "test": dataset(label=[-1, -1])})
    monkeypatch.setattr(datasets, "load_dataset", loader)
    splits = load(source="hub:me/set@v1.0:english")
    assert loader.calls == [("me/set", {"name": "english", "revision": "v1.0"})]
    assert sizes(splits) == [2, 2, None]
    assert splits.notes == [
        "tasks.x.data.source: split 'test' of 'hub:me/set@v1.0:english' has no labels; it is left "
        "out."
    ]


def test_scripts_fall_back_to_the_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader({"train": dataset(), "validation": dataset()}, script=True)
    monkeypatch.setattr(datasets, "load_dataset", loader)
    monkeypatch.setattr(hub, "converted_configs", lambda name: ["conll2003"])
    splits = load(source="hub:eriktks/conll2003")
    assert loader.calls[1][1] == {"data_dir": "conll2003", "revision": "refs/convert/parquet"}
    assert "the Hub's Parquet conversion (refs/convert/parquet) is used" in splits.notes[0]
    load(source="hub:eriktks/conll2003:english")
    assert loader.calls[3][1]["data_dir"] == "english"
    with pytest.raises(DataError, match=r"to have data files at revision 'v2' of 'eriktks/conll"):
        load(source="hub:eriktks/conll2003@v2")
    monkeypatch.setattr(hub, "converted_configs", lambda name: ["de", "en"])
    with pytest.raises(DataError, match=r"to have a configuration, .* one of \{de, en\}"):
        load(source="hub:eriktks/conll2003")


def test_a_converted_folder_is_found_by_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for config, text in (("de", "gut"), ("en", "good")):
        folder = tmp_path / "set" / config / "train"
        folder.mkdir(parents=True)
        dataset(text=[text, text]).to_parquet(folder / "0000.parquet")
    loaded = datasets.load_dataset(str(tmp_path / "set"), data_dir="en")
    assert loaded["train"]["text"] == ["good", "good"]


def test_what_the_hub_says_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, **options: Any) -> None:
        raise ConnectionError(f"Couldn't reach\n '{path}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    expected = r"tasks\.x\.data\.source` .*'hub:me/set' failed: ConnectionError: Couldn't reach 'me"
    with pytest.raises(DataError, match=expected):
        load(source="hub:me/set")
    with pytest.raises(DataError, match=r"to be `hub:<dataset>\[@revision\]\[:<config>\]`"):
        load(source="hub:@v1")


def test_a_hub_column_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Loader({"train": dataset()}))
    expected = r"hub:me/set/train: Expected a column 'txt'.*\(did you mean 'text'\?\)"
    with pytest.raises(DataError, match=expected):
        load(columns={"text": "txt", "label": "label"}, source="hub:me/set")


def test_rows_of_one_text_stay_on_one_side_of_the_cut(tmp_path: Path) -> None:
    """Three questions a paragraph: no paragraph is both learned from and validated on."""
    rows = [{"text": f"Text {n // 3}.", "label": str(n % 2)} for n in range(60)]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    splits = load(train=path)
    assert splits.train is not None
    assert splits.validation is not None
    texts = [{row["text"] for row in part} for part in (splits.train, splits.validation)]
    assert not texts[0] & texts[1]
    assert (len(splits.train), len(splits.validation)) == (54, 6)
    assert "6 of 60 training rows" in splits.notes[-1]
    assert splits.notes[-1].endswith("rows of one text stay together, in all tasks).")


def test_rows_of_a_single_text_are_cut_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "One.", "label": "a"}\n' * 10)
    splits = load(train=path)
    assert sizes(splits) == [9, 1, None]
