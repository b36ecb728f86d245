"""``mtl transfer``, with a training of our own whose scores are known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

import mtl.cli.train
from mtl.cli.app import main
from mtl.cli.outcomes import Outcome, write_outcome
from mtl.cli.transfer import Plan, compare, quietly, read_plan
from mtl.config.schema import Config
from mtl.errors import ConfigError, Interrupted
from mtl.reporting.transfer import shown

TASKS = ("ner", "sentiment", "qa")
ALONE = {"ner": 0.5, "sentiment": 0.7, "qa": 0.3}
METRIC = {"ner": "f1", "sentiment": "accuracy", "qa": "f1"}


def score(task: str, others: set[str], seed: int) -> float:
    """Sentiment gains two points of ner, which loses one by seed; qa changes nothing."""
    more = 0.02 if (task, "ner" in others) == ("sentiment", True) else 0.0
    less = 0.01 * seed if (task, "sentiment" in others) == ("ner", True) else 0.0
    return ALONE[task] + seed / 1000 + more - less


class Training:
    def __init__(self) -> None:
        self.runs: list[tuple[str, ...]] = []
        self.lr: list[float] = []
        self.fails: Callable[[Config], bool] = lambda cfg: False

    def __call__(self, cfg: Config, run_dir: Path) -> dict[str, float]:
        if self.fails(cfg):
            raise ConfigError("Expected more, but got less.")
        names = set(cfg.tasks)
        self.runs.append(tuple(cfg.tasks))
        if "qa" in names:
            self.lr.append(cfg.tasks["qa"].weight)
        found = {f"test/{n}/{METRIC[n]}": score(n, names - {n}, cfg.seed) for n in names}
        return {**found, "val/score": 0.5}


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    monkeypatch.chdir(tmp_path)
    fake = Training()
    real = mtl.cli.train.main
    monkeypatch.setattr(mtl.cli.train, "main", lambda argv: real(argv, fake))
    return fake


def run(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["transfer", *words])
    return ended.value.code


@pytest.mark.slow
def test_who_helps_whom(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("task=ner,sentiment,qa", "seed=1,2,3", "tasks.qa.weight=2", "--output", "out")
    assert run(*line) == 0
    assert len(training.runs) == 3 * (3 + 3 + 1)
    assert set(training.lr) == {2.0}
    found = json.loads(Path("out/transfer.json").read_text())
    cells = {(c["task"], *c["with"]): c for c in found["cells"]}
    assert len(cells) == 2 * 3 + 3
    assert cells["sentiment", "ner"]["gain"] == pytest.approx(2.0)
    assert cells["ner", "sentiment"]["gain"] == pytest.approx(-2.0)
    half = stats.t.ppf(0.975, 2) * stats.sem([-1.0, -2.0, -3.0])
    assert cells["ner", "sentiment"]["margin"] == pytest.approx(half, abs=1e-3)
    assert cells["qa", "ner", "sentiment"]["gain"] == pytest.approx(0.0)
    assert found["alone"]["test/ner/f1"] == pytest.approx(0.502)
    streams = capsys.readouterr()
    assert len(streams.err.splitlines()) < 15  # One line for each of seven sets.
    assert "transfer 4/7: ner + sentiment: 3 of 3 jobs done in " in streams.err
    assert "job 0: " in Path("out/transfer.log").read_text()
    assert "+2.0" in streams.out
    page = Path("out/transfer.html").read_text()
    assert 'class="is-gain"' in page
    assert "seed 2: -2.00" in page
    before = len(training.runs)
    assert run(*line) == 0  # What has ended is not trained again.
    assert len(training.runs) == before


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["task=ner"], r"`task` to name two tasks or more.*got ner"),
        (["seed=1,2"], r"`task` to name two tasks or more.*got none"),
        (["task=ner,qa", "hydra.sweep.dir=x"], r"`hydra\.sweep\.dir` to be unset.*--output"),
    ],
)
def test_what_cannot_be_compared(overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_plan(overrides)


def test_sets_of_tasks_and_their_own_keys() -> None:
    plan = read_plan(["task=[a,b,c]", "tasks.b.weight=2", "trunk.lr=1"])
    assert plan == Plan(("a", "b", "c"), "seed=1,2,3", ("tasks.b.weight=2", "trunk.lr=1"))
    assert plan.sets == [
        ("a",),
        ("b",),
        ("c",),
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("a", "b", "c"),
    ]
    alone: Any = plan.arguments(("a",), Path("out"))
    assert alone == ["-m", "task=[a]", "seed=1,2,3", "trunk.lr=1", "hydra.sweep.dir=out/a"]
    assert read_plan(["task=a,b"]).sets == [("a",), ("b",), ("a", "b")]


@pytest.mark.slow
def test_jobs_that_fail_are_said(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    training.fails = lambda cfg: len(cfg.tasks) == 2 and cfg.seed == 2
    assert run("task=ner,sentiment", "seed=1,2", "--output", "out") == 0
    said = capsys.readouterr().err
    assert "transfer 3/3: ner + sentiment: 1 of 2 jobs done in " in said
    assert "transfer 3/3: ner + sentiment: seed=2 error: Expected more, but got less." in said


@pytest.mark.slow
def test_a_mistake_of_all_jobs_is_shown(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("task=ner,sentiment", "trunk.learning_rate=1", "--output", "out") == 2
    assert "Did you mean `trunk.lr`?" in capsys.readouterr().err
    assert training.runs == []


def test_a_misspelt_task_is_found_before_any_training(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("task=ner,sentimant", "seed=1", "--output", "out") == 2
    assert "Did you mean 'sentiment'?" in capsys.readouterr().err
    assert training.runs == []
    assert not Path("out").exists()


def test_what_other_processes_print_goes_to_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with quietly(tmp_path / "out" / "log"):
        os.write(1, b"from a worker\n")
        print("from here", flush=True)
    print("afterwards", flush=True)
    assert capfd.readouterr().out == "afterwards\n"
    said = (tmp_path / "out" / "log").read_text()
    assert sorted(said.splitlines()) == ["from a worker", "from here"]


def test_a_signal_ends_it(training: Training, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(cfg: Config) -> bool:
        raise Interrupted(143)

    training.fails = interrupt
    assert run("task=ner,sentiment", "seed=1", "--output", "out") == 143
    said = capsys.readouterr().err
    assert "2/3" not in said
    assert "the same command goes on" in said


def test_what_was_never_trained_is_said(tmp_path: Path) -> None:
    table = compare(read_plan(["task=a,b"]), tmp_path)
    assert table.missing == ["a has no score alone", "b has no score alone"]
    assert table.cells == []


def test_a_metric_that_is_best_when_low_gains_by_falling(tmp_path: Path) -> None:
    scores = {("a",): 50.0, ("b",): 0.5, ("a", "b"): 40.0}
    for chosen, value in scores.items():
        folder = tmp_path / "+".join(chosen) / "job-0"
        (folder / ".hydra").mkdir(parents=True)
        primary = {"a": "perplexity", "b": "f1"}
        metrics = {"test/a/perplexity": value, "test/b/f1": 0.6 if len(chosen) > 1 else value}
        outcome = Outcome(0, str(folder), ["seed=1"], "done", metrics=metrics)
        outcome.primary = {name: primary[name] for name in chosen}
        outcome.lower = ["val/a/perplexity"]
        write_outcome(outcome)
    table = compare(read_plan(["task=a,b", "seed=1"]), tmp_path)
    found = {cell.task: (round(cell.mean, 6), cell.unit) for cell in table.cells}
    assert found == {"a": (20.0, "%"), "b": (10.0, "")}
    console = Console(width=80, record=True)
    console.print(shown(("a", "b"), table))
    text = console.export_text()
    assert "50.0" in text  # Not a hundred times as much.
    assert "+20.0%" in text
    found_again = json.loads(json.dumps(table.as_dict()))
    assert [one["unit"] for one in found_again["cells"]] == ["percent", "points"]
