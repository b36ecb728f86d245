from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mtl.errors import ConfigError
from mtl.reporting.loggers import LOGGERS, build_loggers, finish_loggers
from mtl.reporting.loggers.base import RunFacts, directions
from mtl.reporting.loggers.csv_file import CsvLogger
from mtl.secrets import hide_secrets
from tests.reporting.loggers.conftest import TASKS


def test_an_unknown_logger_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"logger\.names.*'tensorbord'.*Did you mean 'tensorboa"):
        build_loggers(["tensorbord"], tmp_path, config={}, tasks=TASKS)


def test_a_missing_package_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"package tensorboard.*pip install 'mtl\[tensorboard\]'"):
        build_loggers(["csv", "tensorboard"], tmp_path, config={}, tasks=TASKS)


def test_names_may_repeat_and_may_be_none(tmp_path: Path) -> None:
    assert len(build_loggers(["csv", "csv"], tmp_path, config={}, tasks=TASKS)) == 1
    assert build_loggers([], tmp_path, config={}, tasks=TASKS) == []


class Ending(CsvLogger):
    ended: list[bool]

    def finish(self, *, failed: bool) -> None:
        self.ended.append(failed)
        raise OSError("the disk is full")


def test_a_failing_start_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ending.ended = []

    def refuse(facts: RunFacts) -> Any:
        raise ConfigError("no")

    refuse.package = None  # type: ignore[attr-defined]
    monkeypatch.setattr(LOGGERS, "_entries", {"ending": Ending, "refuse": refuse})
    with pytest.raises(ConfigError, match="no"):
        build_loggers(["ending", "refuse"], tmp_path, config={}, tasks=TASKS)
    assert Ending.ended == [True]


def test_every_logger_ends_although_one_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ending.ended = []
    loggers = [Ending(RunFacts(tmp_path)), Ending(RunFacts(tmp_path))]
    finish_loggers(loggers, failed=False)
    assert Ending.ended == [False, False]
    assert "Ending: its last records may be missing: the disk is full" in capsys.readouterr().err


def test_directions() -> None:
    found = directions(TASKS)
    assert found["val/rating/rmse"] == found["test/rating/rmse"] == "min"
    assert found["val/ner/f1"] == found["test/ner/f1"] == found["val/score"] == "max"
    assert found["train/ner/loss"] == found["train/loss"] == "min"


def test_secrets_are_hidden_and_nothing_else() -> None:
    config = {
        "batching": {"tokens": 4096},
        "columns": {"tokens": "tokens", "token": "word", "key": "id"},
        "wandb": {"api_key": "abc", "password": None},
        "paths": ["https://user:hf_0123456789@host/x", "data/train.conll"],
    }
    shown = hide_secrets(config, {"HF_TOKEN": "hf_0123456789", "SHORT_KEY": "a", "PATH": "data"})
    assert shown == {
        **config,
        "wandb": {"api_key": "(hidden)", "password": None},
        "paths": ["(hidden)", "data/train.conll"],
    }
