"""Folders as sources: a folder for each class, and what `datasets` saved; and lists of files."""

from pathlib import Path

import datasets
import pytest

from mtl.errors import DataError
from tests.data.roles import CLASSES, plain, write

from .test_sources import load, sizes


def fill(folder: Path, **classes: list[str]) -> Path:
    for name, texts in classes.items():
        (folder / name).mkdir(parents=True)
        for number, text in enumerate(texts):
            write(folder / name / f"{number}.txt", text)
    return folder


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    fill(tmp_path, sport=["A goal.\n\nTwo goals.\n", "A win."], tech=["A chip."])
    splits = load(source=tmp_path, columns={"text": "text", "label": "sentiment"})
    rows = [row for split in (splits.train, splits.validation) for row in plain(split or [])]  # type: ignore[arg-type]
    assert sorted(rows, key=lambda row: row["text"]) == [
        {"text": "A chip.", "label": "tech"},
        {"text": "A goal.\n\nTwo goals.", "label": "sport"},
        {"text": "A win.", "label": "sport"},
    ]


def test_splits_above_classes(tmp_path: Path) -> None:
    fill(tmp_path / "train", pos=["Good."], neg=["Bad."], unsup=["Who knows?"])
    fill(tmp_path / "test", pos=["Fine."], neg=["Poor."])
    write(tmp_path / "train" / "urls_pos.txt", "http://example.org\n")
    write(tmp_path / "README", "About.\n")
    fill(tmp_path / "valid", pos=["Nice."], neg=["Sad."])
    splits = load(source=tmp_path)
    assert sizes(splits) == [2, 2, 2]
    assert {row["label"] for row in splits.train or []} == {"pos", "neg"}
    assert any("unsup' have no label" in note for note in splits.notes)


def test_an_empty_text_is_a_bad_row(tmp_path: Path) -> None:
    fill(tmp_path / "train", pos=["Good.", ""], neg=["Bad."])
    fill(tmp_path / "dev", pos=["Good."])
    with pytest.raises(DataError, match=r"train/pos/1\.txt:1: Expected text"):
        load(source=tmp_path)
    assert sizes(load(source=tmp_path, on_bad_row="skip")) == [2, 1, None]


def test_a_folder_of_nothing_known(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text,label\n")
    with pytest.raises(
        DataError, match=r"data\.source` to have a training split.*`tasks\.x\.data\.train`"
    ):
        load(source=tmp_path)


ROWS = [{"text": f"Text {i}.", "label": ["neg", "pos"][i % 2]} for i in range(8)]


def saved(folder: Path) -> Path:
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["neg", "pos"])
    )
    found = datasets.Dataset.from_list(ROWS, features=features)
    datasets.DatasetDict(train=found, test=found.select(range(2))).save_to_disk(str(folder))
    return folder


@pytest.mark.parametrize("prefix", ["", "hub:"])
def test_a_saved_dataset(tmp_path: Path, prefix: str) -> None:
    folder = saved(tmp_path / "saved")
    splits = load(source=f"{prefix}{folder}")
    assert sizes(splits)[2] == 2
    assert plain(splits.test) == ROWS[:2]  # type: ignore[arg-type]


def test_one_saved_split(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    found = load(source=tmp_path / "saved")
    assert sum(size or 0 for size in sizes(found)) == len(ROWS)


def test_lists_of_classes_keep_their_names(tmp_path: Path) -> None:
    from mtl.data.readers import read_split

    from .roles import NER

    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")),
        labels=datasets.List(datasets.ClassLabel(names=["O", "B-PER"])),
    )
    rows = [{"tokens": ["Ada", "ran"], "labels": [1, 0]}]
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(path))
    found = read_split(path, columns={"tokens": "tokens", "labels": "labels"}, roles=NER)
    assert found[0]["labels"] == ["B-PER", "O"]


def test_a_list_of_files(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", "text,label\nGood,pos\n")
    b = write(tmp_path / "b.csv.gz", __import__("gzip").compress(b"text;label\nBad;neg\n"))
    write(tmp_path / "c1.jsonl", '{"text": "So", "label": "neg"}\n')
    splits = load(train=[str(a), str(b), str(tmp_path / "c*.jsonl")], validation=a)
    assert plain(splits.train) == [  # type: ignore[arg-type]
        {"text": "Good", "label": "pos"},
        {"text": "Bad", "label": "neg"},
        {"text": "So", "label": "neg"},
    ]
    with pytest.raises(DataError, match=r"data\.train` to name a file.*nowhere\.csv"):
        load(train=[str(a), str(tmp_path / "nowhere.csv")], roles=CLASSES)


@pytest.mark.parametrize("files", ["{a,b}.csv", "a.csv,b.csv"])
def test_files_that_are_not_listed_as_they_should_be(tmp_path: Path, files: str) -> None:
    with pytest.raises(
        DataError, match=r"glob, or by a list such as `tasks\.x\.data\.train=\[a\.csv"
    ):
        load(train=str(tmp_path / files))
