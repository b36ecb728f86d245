"""The public predictor: texts in, typed results out, equal to what ``mtl predict`` prints."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mtl as package
from mtl.errors import CheckpointError, ConfigError, DataError
from mtl.inference import opening
from mtl.inference.texts import Predictor
from mtl.tasks.results import Entity, Failed
from tests.inference.conftest import SENTENCES, Run, check_error, rows, write_jsonl

TEXTS = [text for text, *_ in SENTENCES]
NO_TEXT: Any = 3


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return package.load(trained, "cpu")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, mtl; mtl.MtlError; print(sorted({'torch', 'pydantic'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_the_package_names_is_there() -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="mtl"):
        package.nothing  # noqa: B018


def test_results_are_what_the_command_prints(mtl: Run, trained: Path, predictor: Predictor) -> None:
    asked = [part for text in TEXTS for part in ("--text", text)]
    code, out, _ = mtl("predict", trained, *asked, "--device", "cpu")
    assert code == 0
    found = predictor.predict(TEXTS)
    assert [one.to_dict() for one in found] == [json.loads(line) for line in out.splitlines()]


def test_results_are_typed_and_frozen(predictor: Predictor) -> None:
    found = predictor.predict(TEXTS)
    entities = [entity for one in found for entity in one["ner"].entities]
    assert entities
    assert all(isinstance(entity, Entity) for entity in entities)
    for one in found:
        for entity in one["ner"].entities:
            assert one.text is not None
            assert one.text[entity.start : entity.end] == entity.text
        assert one["sentiment"].label in one["sentiment"].probabilities
        assert isinstance(one["rating"].value, float)
    with pytest.raises(dataclasses.FrozenInstanceError):
        entities[0].label = "LOC"


def test_one_text_is_one_result(predictor: Predictor) -> None:
    one = predictor.predict(TEXTS[0], ["sentiment"])
    assert list(one.answers) == ["sentiment"]
    among = predictor.predict(TEXTS, ["sentiment"])[0]
    assert one["sentiment"].label == among["sentiment"].label
    shares = one["sentiment"].probabilities
    assert shares == pytest.approx(among["sentiment"].probabilities, abs=2e-4)


def test_texts_are_taken_as_they_are_needed(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtl.inference.rows.CHUNK", 3)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield TEXTS[taken % len(TEXTS)]

    found = predictor.predict_iter(endless(), ["rating"])
    for number in range(1, 8):
        assert next(found).text == TEXTS[number % len(TEXTS)]
        assert taken <= number + 3


def test_what_is_wrong_is_said_in_words_of_python(predictor: Predictor) -> None:
    for call, kind, words in (
        (lambda: predictor.predict("a", []), ConfigError, "`tasks` to name a task"),
        (lambda: predictor.predict("a", ["nerr"]), ConfigError, "`tasks` to be one of"),
        (lambda: predictor.predict("a", questions=["b"]), ConfigError, "`questions` to be for"),
        (lambda: predictor.predict("a", questions="b"), ConfigError, "a list of texts"),
        (
            lambda: predictor.predict(NO_TEXT),
            DataError,
            "`texts` to be a text, or any number.*got 3",
        ),
        (lambda: predictor.predict_iter("ab"), DataError, r"Put it into a list: texts=\[…\]"),
        (
            lambda: predictor.predict(["a", NO_TEXT]),
            DataError,
            "texts:2: Expected a text, but got 3",
        ),
        (lambda: predictor.predict(["a", " "]), DataError, "texts:2: Expected a text"),
        (lambda: predictor.predict("a", on_bad_row="no"), ConfigError, "`on_bad_row` to be one"),
    ):
        with pytest.raises(kind, match=words):
            call()


def test_texts_without_an_answer_say_why_or_are_left_out(predictor: Predictor) -> None:
    marked = predictor.predict([TEXTS[0], ""], on_bad_row="mark")
    assert marked[0].error is None
    assert marked[1].to_dict() == {"text": "", "error": "Expected a text, but got an empty one"}
    assert len(predictor.predict([TEXTS[0], ""], on_bad_row="skip")) == 1


def test_a_file_is_answered_as_the_command_does(
    mtl: Run, trained: Path, predictor: Predictor, tmp_path: Path
) -> None:
    given = write_jsonl(tmp_path / "in.jsonl", [*rows(3), {"body": ""}])
    files = ("--input", given, "--output", tmp_path / "command.jsonl")
    assert mtl("predict", trained, *files, "--device", "cpu")[0] == 0
    report = predictor.predict_file(given, tmp_path / "python.jsonl")
    assert report.rows == 4
    assert "1 row has an `error`" in report.notes[0]
    own, other = (tmp_path / f"{name}.jsonl" for name in ("python", "command"))
    assert own.read_bytes() == other.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        predictor.predict_file(given, own)
    with pytest.raises(ConfigError, match="another file than `input`"):
        predictor.predict_file(given, given, overwrite=True)


def test_an_answer_that_is_an_error_is_typed() -> None:
    from mtl.inference.texts import typed
    from mtl.tasks.results import Entities

    assert typed(Entities, {"error": "why"}) == Failed(error="why")


def test_a_model_of_the_hub(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    """The Hub's own client finds the files in its cache, laid out as a download leaves it."""
    from huggingface_hub import constants

    commit = "0" * 40
    kept = tmp_path / "models--owner--name"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(commit)
    (kept / "snapshots").mkdir()
    (kept / "snapshots" / commit).symlink_to(trained / "model")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = opening.found("owner/name")
    assert found == kept / "snapshots" / commit
    assert package.load("owner/name", "cpu").predict(TEXTS) == predictor.predict(TEXTS)
    with pytest.raises(CheckpointError, match="`owner/other` to be the folder of a run or a model"):
        package.load("owner/other")


def test_a_folder_without_a_model(mtl: Run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        package.load(tmp_path)
    check_error(mtl("predict", tmp_path, "--text", "a"), str(error.value))
