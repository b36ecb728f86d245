"""Files of which line n belongs together, a role each."""

import gzip
from pathlib import Path

import pytest

from mtl.data.rows import Role
from mtl.errors import ConfigError, DataError
from tests.data.roles import NER, plain, write

from .test_sources import load, sizes

TEXTS = (Role("text", "text"), Role("target", "texts", target=True))
BY_ROLE = {"tokens": "seq.in", "labels": "seq.out"}


def files(folder: Path, first: str, second: str, names: dict[str, str]) -> dict[str, str]:
    for name, content in zip(names.values(), (first, second), strict=True):
        write(folder / name, gzip.compress(content.encode()) if name.endswith("gz") else content)
    return {role: str(folder / name) for role, name in names.items()}


def test_words_and_labels(tmp_path: Path) -> None:
    train = files(tmp_path, "ran to Rome\nAda left\n", "O O B-LOC\nB-PER O\n", BY_ROLE)
    splits = load(train=train, validation=train, roles=NER, columns={"tokens": 0, "labels": -1})
    assert plain(splits.train) == [  # type: ignore[arg-type]
        {"tokens": ["ran", "to", "Rome"], "labels": ["O", "O", "B-LOC"]},
        {"tokens": ["Ada", "left"], "labels": ["B-PER", "O"]},
    ]
    assert sizes(splits) == [2, 2, None]


def test_texts_and_targets_compressed(tmp_path: Path) -> None:
    names = {"text": "train.src", "target": "train.tgt.gz"}
    train = files(tmp_path, "Bonjour, toi\r\n\r\nOui\r\n", "Hi, you\n\nYes\n\n", names)
    splits = load(train=train, validation=train, roles=TEXTS, columns={})
    assert plain(splits.train) == [  # type: ignore[arg-type]
        {"text": "Bonjour, toi", "target": ["Hi, you"]},
        {"text": "Oui", "target": ["Yes"]},
    ]
    assert any("1 blank row left out" in note for note in splits.notes)


def test_unequal_files(tmp_path: Path) -> None:
    train = files(tmp_path, "a\nb\nc\n", "O\nO\n", BY_ROLE)
    with pytest.raises(
        DataError, match=r"seq\.out: Expected 3 lines, as '.*seq\.in' has, but got 2"
    ):
        load(train=train, roles=NER, columns={})


def test_a_line_of_other_words_than_labels(tmp_path: Path) -> None:
    train = files(tmp_path, "a b\nc d\n", "O O\nO\n", BY_ROLE)
    with pytest.raises(
        DataError, match=r"seq\.in:2: Expected one of `labels` for each of 2 tokens"
    ):
        load(train=train, roles=NER, columns={})


def test_a_line_that_is_blank_in_one_file(tmp_path: Path) -> None:
    train = files(tmp_path, "a\n\nc\n", "O\nO\nO\n", BY_ROLE)
    with pytest.raises(DataError, match=r"seq\.in:2: Expected tokens"):
        load(train=train, roles=NER, columns={})


def test_roles_that_are_wrong(tmp_path: Path) -> None:
    train = files(tmp_path, "a\n", "O\n", {"tokens": "seq.in", "tags": "seq.out"})
    with pytest.raises(ConfigError, match=r"`tasks\.x\.data\.train` to be one of .*'tags'"):
        load(train=train, roles=NER, columns={})
    with pytest.raises(ConfigError, match=r"columns\.labels` to be the column"):
        load(train={"tokens": train["tokens"]}, roles=NER, columns={})
    with pytest.raises(DataError, match=r"data\.train\.labels` to name a file"):
        load(train={"tokens": train["tokens"], "labels": "nowhere"}, roles=NER, columns={})


@pytest.mark.parametrize("names", ["{}/seq.in {}/seq.out", "{}.seq.in {}.seq.out"])
def test_a_folder_of_parallel_files(tmp_path: Path, names: str) -> None:
    for split in ("train", "valid", "test"):
        (tmp_path / split).mkdir()
        for name, content in zip(
            names.format(split, split).split(), ("a b\n", "O B-X\n"), strict=True
        ):
            write(tmp_path / name, content)
    splits = load(source=tmp_path, roles=NER, columns={})
    assert sizes(splits) == [1, 1, 1]
    assert plain(splits.test) == [{"tokens": ["a", "b"], "labels": ["O", "B-X"]}]  # type: ignore[arg-type]


def test_a_folder_of_sources_and_targets(tmp_path: Path) -> None:
    for name in ("train.source", "val.source", "train.target", "val.target"):
        write(tmp_path / name, f"A {name}.\n")
    splits = load(source=tmp_path, roles=TEXTS, columns={})
    assert plain(splits.train) == [{"text": "A train.source.", "target": ["A train.target."]}]  # type: ignore[arg-type]
    assert sizes(splits) == [1, 1, None]


def test_one_of_parallel_files_alone(tmp_path: Path) -> None:
    train = files(tmp_path, "a b\nc d e\n", "O O\nO O B-X\n", BY_ROLE)
    splits = load(train=train["tokens"], validation=train["labels"], roles=NER, columns={})
    assert sizes(splits) == [2, 2, None]
    assert any("labels: seq.out" in note for note in splits.notes)
