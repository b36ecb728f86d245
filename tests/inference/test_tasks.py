import json
import subprocess
import sys
from pathlib import Path

import pytest

from mtl.cli import main
from mtl.cli.verbs import tasks
from mtl.inference.registered import options
from mtl.tasks import TASK_TYPES
from mtl.tasks.token_classification import TokenHeadOptions
from tests.inference.conftest import Run


def test_every_type_and_task_is_listed(mtl: Run) -> None:
    code, out, err = mtl("tasks", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [kind["type"] for kind in found["types"]] == list(TASK_TYPES)
    for kind in found["types"]:
        registered = TASK_TYPES.get(kind["type"])
        assert kind["metrics"] == list(registered.metric_names)
        names = [role["name"] for role in kind["inputs"] + kind["targets"]]
        assert sorted(names) == sorted(role.name for role in registered.roles())
    shipped = {task["task"]: task for task in found["tasks"]}
    assert shipped.keys() == {path.stem for path in tasks.CONF.glob("task/*.yaml")}
    assert shipped["ner"] == {
        "task": "ner",
        "type": "token_classification",
        "about": "Who and what is named here?",
        "command": "python train.py task=ner",
    }


def test_text_for_people_fits_80_columns(mtl: Run) -> None:
    code, out, _ = mtl("tasks")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    for part in (
        "type: token_classification",
        "f1 (when unset), precision, recall",
        "problem: single accuracy (when unset), macro_f1, mcc",
        "labels a label for each word; what is learned",
        "decoding: constrained plain takes each word's best label",
        "python train.py task=ner,sentiment",
        "python train.py task=sentiment text_classification. How does the writer feel?",
    ):
        assert part in words


def test_without_a_checkout(mtl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CONF", tmp_path / "no")
    code, out, _ = mtl("tasks")
    assert code == 0
    assert "No conf/task/ beside the package" in out
    assert json.loads(mtl("tasks", "--json")[1])["tasks"] == []


def test_options_are_told_with_what_stands_under_them() -> None:
    found = {option["name"]: option for option in options(TokenHeadOptions)}
    assert found["dropout"]["default"] == 0.1
    assert found["dropout"]["help"].startswith("Share of the states' elements")
    told = {name for name, option in found.items() if option["help"]}
    assert told >= {"name", "dropout", "class_weights", "loss", "decoding", "subword"}


@pytest.mark.parametrize("command", ["predict", "evaluate", "tasks"])
def test_help_loads_nothing_heavy(command: str) -> None:
    program = (
        "import sys, mtl.cli\n"
        "try: mtl.cli.main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'lightning', 'hydra', 'pyarrow', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", ["predict", "evaluate", "tasks", "score"])
def test_flags_are_given_no_type(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ["generation"] if command == "score" else []
    with pytest.raises(SystemExit):
        main([command, *kinds, "--help"])
    shown = capsys.readouterr().out
    assert "--help" in shown
    assert "bool" not in shown.lower()


def test_a_type_without_options_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tasks"])
    shown = capsys.readouterr().out
    about = shown[shown.index("type: language_modeling") :].partition("\n\n")[0]
    assert "  options: none" in about
    assert "tied: true" in about
