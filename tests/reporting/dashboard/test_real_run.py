"""The dashboard of a real run of four tasks, whose metrics W&B's own reader reads back."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtl.cli import main
from tests import helpers
from tests.reporting.loggers.conftest import isolate
from train import main as train

pytest.importorskip("wandb_workspaces")
pytestmark = pytest.mark.slow
TASKS = ("ner", "sentiment", "summarization", "qa")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("four")
    trunk = helpers.save_tiny(
        base / "trunk", helpers.llama_config(max_position_embeddings=256), helpers.bpe_tokenizer()
    )
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, base)
        patch.chdir(base)
        code = train(
            [
                f"task={','.join(TASKS)}",
                *(f"tasks.{name}.data.max_examples=12" for name in TASKS),
                "tasks.summarization.options={max_new_tokens: 2, max_target_tokens: 16}",
                "trunk=hf",
                f"trunk.path={trunk}",
                "logger=wandb",
                "logger.wandb.log_model=true",
                "balancing.conflict=true",
                "trainer.max_steps=4",
                "trainer.log_every_n_steps=2",
                "trainer.progress=false",
                "trainer.threads=1",
                "hydra.run.dir=run",
            ]
        )
    assert code == 0
    return base / "run"


@pytest.fixture(scope="module")
def records(run: Path) -> list[dict[str, Any]]:
    (folder,) = (run / "wandb").glob("offline-run-*")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    return [json.loads(line) for line in found.splitlines()]


@pytest.fixture(scope="module")
def specification(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("spec") / "dashboard.json"
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, file.parent)
        with pytest.raises(SystemExit) as end:
            main(["dashboard", str(run), "--output", str(file)])
    assert not end.value.code
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def logged(records: list[dict[str, Any]]) -> set[str]:
    """The names of all that a run has in its history, as W&B reads them."""
    text = json.dumps([record for record in records if record["type"] == "history"])
    # Of a table, the history has one entry for each of its parts.
    names = re.findall(r'"((?:train|val|test|tables)/[^"]+|epoch)"', text)
    return {name.partition(".")[0] for name in names}


def on_panels(section: dict[str, Any]) -> set[str]:
    text = json.dumps(section)
    return set(re.findall(r'"(?:summary:|run:)?((?:train|val|test|tables)/[^"]+|epoch)"', text))


def sections(specification: dict[str, Any]) -> dict[str, dict[str, Any]]:
    bank = specification["workspace"]["spec"]["section"]["panelBankConfig"]
    return {section["name"]: section for section in bank["sections"]}


def test_panels_and_what_is_logged_are_the_same(
    specification: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    shown = set().union(*map(on_panels, sections(specification).values()))
    assert shown == logged(records)
    for task in TASKS:
        own = {name for name in logged(records) if name.split("/")[1:2] == [task]}
        assert own
        assert own <= on_panels(sections(specification)[task])


def test_the_report_has_the_same_panels(specification: dict[str, Any]) -> None:
    whole = set().union(*map(on_panels, sections(specification).values()))
    assert on_panels(specification["report"]["spec"]) == whole


def test_tables_model_and_notes_are_in_the_run(records: list[dict[str, Any]], run: Path) -> None:
    names = logged(records)
    assert {f"tables/test/{task}/answers" for task in TASKS} <= names
    assert "tables/test/sentiment/labels-confusions" in names
    text = json.dumps(records)
    assert "train.py 'task=[ner,sentiment,summarization,qa]'" in text
    assert '"type": "model"' in text


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dashboard", str(tmp_path)])
    assert end.value.code == 2
    assert "to be given the folder of a run or of a sweep" in capsys.readouterr().err


def test_publishing_without_a_login_is_a_sentence(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    isolate(monkeypatch, tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["dashboard", str(run), "--publish"])
    assert end.value.code == 2
    assert "Expected `--publish` to reach W&B with a login" in capsys.readouterr().err
