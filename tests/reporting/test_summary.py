from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from mtl.reporting.summary import closing_table, further_runs, next_steps

TASKS = [("ner", "f1", ["f1", "precision"]), ("rating", "pearson", ["rmse", "mae"])]
RESULTS = {
    "test/ner/f1": 0.75,
    "test/ner/precision": 0.5,
    "val/ner/f1": 0.8,
    "val/rating/pearson": 0.25,
    "val/rating/rmse": 12.5,
    "test/score": 0.5,
}
BASELINE = {
    "baseline/ner/f1": 0.0,
    "baseline/ner/precision": 0.625,
    "baseline/rating/rmse": 15.0,
    "baseline/score": 0.125,
}


def show(table: Table, width: int = 80) -> tuple[str, str]:
    """Return the table as text, and with its colours."""
    target = Console(file=io.StringIO(), width=width, record=True, force_terminal=True)
    target.print(table)
    styled = target.export_text(clear=False, styles=True)
    text = target.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    return text, styled


@pytest.mark.parametrize(("stage", "title"), [("val", "validation"), ("test", "test")])
def test_the_column_says_which_split_it_is(stage: str, title: str) -> None:
    results = {f"{stage}/ner/f1": 0.5, f"{stage}/score": 0.5}
    text, _ = show(closing_table(results, {}, [("ner", "f1", [])]))
    assert text.split()[:5] == ["task", "metric", "baseline", title, "difference"]
    assert "†" not in text


def test_rows_and_marks() -> None:
    table = closing_table(RESULTS, BASELINE, TASKS, lower_is_better={"rating": {"rmse", "mae"}})
    lines = [line.split() for line in show(table)[0].splitlines() if line.strip()]
    assert lines[0] == ["task", "metric", "baseline", "score", "difference"]
    assert lines[2:7] == [
        ["ner", "f1", "*", "0.0000", "0.7500", "+0.7500"],
        ["precision", "0.6250", "0.5000", "-0.1250"],
        ["rating", "pearson", "*", "†", "-", "0.2500", "-"],
        ["rmse", "↓", "†", "15.0000", "12.5000", "-2.5000"],
        ["all", "tasks", "score", "0.1250", "0.5000", "+0.3750"],
    ]
    assert " ".join(word for line in lines[7:] for word in line) == (
        "* primary metric; † on validation, not on test; ↓ lower is better"
    )


def test_colours_say_what_is_an_improvement() -> None:
    table = closing_table(RESULTS, BASELINE, TASKS, lower_is_better={"rating": {"rmse"}})
    styled = show(table)[1]
    green, red = "\x1b[32m", "\x1b[31m"
    assert f"{green}   +0.7500" in styled
    assert f"{red}   -0.1250" in styled
    assert f"{green}   -2.5000" in styled
    same = {"test/ner/f1": 0.5}, {"baseline/ner/f1": 0.50001}
    assert show(closing_table(*same, [("ner", "f1", [])]))[0].split().count("0.0000") == 1


@pytest.mark.parametrize("name", ["x" * 120, "[red]a[red]"])
def test_strange_names_fit(name: str) -> None:
    results = {f"test/{name}/f1": 0.5, f"test/{name}/{name}": 0.25}
    text, _ = show(closing_table(results, {}, [(name, "f1", [name])]))
    assert name[:12] in text
    assert "0.2500" in text


def test_next_steps_are_short_and_safe_to_paste(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs" / "2026-01-31_12-00-00"
    lines = next_steps(run, ["ner", "sentiment"])
    assert lines[1:3] == [
        "  mtl evaluate outputs/2026-01-31_12-00-00",
        "  mtl evaluate outputs/2026-01-31_12-00-00 --task ner --data FILE",
    ]
    assert max(map(len, lines)) <= 80
    asked = next_steps(run, ["qa"], beside=["question"])
    assert any("--text" in line and "--question" in line for line in asked)
    assert not any("wandb" in line or "tensorboard" in line for line in lines)
    assert "  mtl evaluate 'my runs/a'" in next_steps(tmp_path / "my runs" / "a", ["ner"])


def test_next_steps_evaluate_what_there_is(tmp_path: Path) -> None:
    assert f"  mtl evaluate {tmp_path} --split validation" in next_steps(
        tmp_path, ["ner"], tested=False
    )


def test_next_steps_name_the_loggers_that_ran(tmp_path: Path) -> None:
    (tmp_path / "wandb" / "offline-run-1-a").mkdir(parents=True)
    (tmp_path / "tensorboard").mkdir()
    lines = next_steps(tmp_path, ["ner"])
    assert f"  wandb leet {tmp_path}/wandb" in lines
    assert f"  tensorboard --logdir {tmp_path}/tensorboard" in lines


def test_further_runs_are_what_was_not_tried() -> None:
    bundled = "bundled:newsroom"
    two = further_runs({"ner": bundled, "sentiment": bundled}, "tiny")
    assert two == [
        "Then:",
        "  python train.py task=ner,sentiment,summarization,qa  # all four tasks",
        "  python train.py task=ner,sentiment trunk=hf trunk.path=Qwen/Qwen3-0.6B-Base",
        "  python train.py task=ner tasks.ner.data.source=FOLDER  # your data",
    ]
    assert max(map(len, two)) <= 80
    four = dict.fromkeys(("ner", "sentiment", "summarization", "qa"), bundled)
    assert len(further_runs(four, "hf")) == 2
    assert further_runs({"ner": "letters", "qa": None}, "tiny") == []
