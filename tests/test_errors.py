"""The sentences of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtl.errors import (
    EXIT_CODE,
    CheckpointError,
    ConfigError,
    DataError,
    MtlError,
    TrainingError,
    did_you_mean,
    meant_folder,
    one_of,
)


def test_one_small_family() -> None:
    own = {c for c in MtlError.__subclasses__() if c.__module__ == MtlError.__module__}
    assert own == {ConfigError, DataError, CheckpointError, TrainingError}
    assert not issubclass(MtlError, ValueError)
    assert EXIT_CODE == 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sentimnt", " Did you mean 'sentiment'?"),
        ("nre", " Did you mean 'ner'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name(name: str, hint: str) -> None:
    assert did_you_mean(name, ["ner", "sentiment", "qa"]) == hint


def test_one_of_is_a_sentence_with_all_names() -> None:
    assert str(one_of("trunk.name", "hff", ["tiny", "hf"])) == (
        "Expected `trunk.name` to be one of {hf, tiny}, but got 'hff'. Did you mean 'hf'?"
    )
    assert (
        str(one_of("key", "x", iter(["only"])))
        == "Expected `key` to be one of {only}, but got 'x'."
    )


def test_names_need_not_be_text() -> None:
    assert str(one_of("column", "4", [1, 2])) == (
        "Expected `column` to be one of {1, 2}, but got '4'."
    )


def test_of_many_names_the_nearest_are_told() -> None:
    names = [*(f"other_{n}" for n in range(20)), "sentiment"]
    assert str(one_of("key", "x", names[:20])).count("other_") == 20
    problem = one_of("key", "sentimnt", names)
    assert problem.expected.startswith("to be one of {sentiment, other_")
    assert problem.expected.endswith(", … (21 in all)}")
    assert problem.expected.count(",") == 5
    assert problem.advice == "Did you mean 'sentiment'?"
    assert "21 in all" in one_of("key", "", names).expected


def test_several_problems_are_told_at_once() -> None:
    assert str(MtlError("one is wrong.")) == "one is wrong."
    assert str(MtlError("a.", "b.")) == "2 problems:\n  - a.\n  - b."


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("outputs/topci", "outputs/topic"),
        ("output/topic", "outputs/topic"),
        ("ouputs/topci/model", "outputs/topic/model"),
        ("outputs/quite another", None),
        ("outputs/fil.txt", None),
        ("outputs/topic/x/y", None),
        ("x" * 300, None),
    ],
)
def test_the_folder_that_was_meant(
    path: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outputs" / "topic" / "model").mkdir(parents=True)
    (tmp_path / "outputs" / "file.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert meant_folder(Path(path)) == (f" Did you mean '{meant}'?" if meant else "")
    absolute = f" Did you mean '{tmp_path / meant}'?" if meant else ""
    assert meant_folder(tmp_path / path) == absolute
