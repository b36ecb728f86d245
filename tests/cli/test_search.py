"""Searches from the command line, with a training that takes no time."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtl.cli.outcomes import Outcome, read_outcomes
from mtl.cli.train import CONF, main
from mtl.config.schema import Config
from mtl.errors import DataError
from mtl.search.study import FILE, Reports
from mtl.shipped import program

VALIDATIONS = 6
LINE = [
    "-m",
    "sweep=optuna",
    "task=[ner,sentiment]",
    "search.trials=20",
    "search.startup=4",
    "trunk.lr=tag(log, interval(1e-5, 1e-1))",
    "batching.examples=8,16,32",
    "schedule.warmup=interval(0.0, 0.5)",
]


class Killed(BaseException):
    """What a kill is to a test: nothing that comes after it is done."""


class Training:
    """Scores best at a rate of 1e-3; of one trial the data is wrong, in one it is killed."""

    def __init__(
        self, wrong: int | None = None, killed: int | None = None, by: int | None = None
    ) -> None:
        self.wrong = wrong
        self.killed = killed
        self.by = by
        self.trials: list[int] = []

    def __call__(self, cfg: Config, run_dir: Path) -> dict[str, float]:
        number = cfg.search.trial
        assert number is not None
        self.trials.append(number)
        if number == self.wrong:
            raise DataError("x.tsv:3: Expected a label.")
        reports = Reports(cfg.search)
        best = 1 - abs(math.log10(cfg.trunk.lr) + 3) / 4 - cfg.schedule.warmup / 10
        best += {8: 0.0, 16: 0.02, 32: 0.01}[cfg.batching.examples or 8]
        scores: dict[str, float] = {}
        for validation in range(1, VALIDATIONS + 1):
            value = best * validation / VALIDATIONS
            scores = {"val/score": value, "val/ner/f1": value, "val/sentiment/accuracy": 1 - value}
            if reports.add(validation * 10, VALIDATIONS * 10, validation, value):
                return scores
            if number == self.killed and validation == 1:  # Before it may be pruned.
                if self.by is not None:
                    os.kill(os.getpid(), self.by)
                raise Killed
        return scores


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def search(folder: str, training: Callable[..., Any], *more: str) -> int:
    return main([*LINE, *more, f"hydra.sweep.dir={folder}"], training, CONF)


def told(folder: str) -> list[tuple[Any, ...]]:
    """Return what a search says of its trials, but for times and places."""
    keep = ("job", "overrides", "status", "score", "metrics", "steps", "message")
    return [tuple(vars(outcome)[name] for name in keep) for outcome in read_outcomes(Path(folder))]


@pytest.mark.slow
def test_a_search_of_twenty_trials(capsys: pytest.CaptureFixture[str]) -> None:
    """One fails on purpose, some are pruned; the best is found, and said first."""
    training = Training(wrong=3)
    assert search("one", training) == 2
    out = capsys.readouterr().out
    outcomes = {outcome.job: outcome for outcome in read_outcomes(Path("one"))}
    assert training.trials == list(range(20)) == list(outcomes)
    states = [outcome.status for outcome in outcomes.values()]
    assert states[3] == "error"
    assert states.count("pruned") >= 4
    report = json.loads(Path("one/sweep.json").read_text())
    (best,) = report["best"]
    done = [o for o in outcomes.values() if o.status == "done" and o.score is not None]
    assert outcomes[best].score == max(o.score or 0.0 for o in done) > 0.9
    assert report["jobs"][0]["job"] == best
    assert report["jobs"][-1]["job"] == 3
    assert f"20 jobs done, {states.count('pruned')} pruned in one" in out
    assert report["command"] in out
    assert "search." not in report["command"]
    planned, steps = (sum(getattr(o, n) or 0 for o in done) for n in ("planned", "steps"))
    assert planned == steps
    assert any("pruning saved" in line for line in report["lines"])


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "trials", "killed"), [(1, 8, 4), (4, 12, 6)])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(
    workers: int, trials: int, killed: int
) -> None:
    more = (f"search.workers={workers}", f"search.trials={trials}", "search.startup=2")
    search("whole", Training(wrong=1), *more)
    with pytest.raises(Killed):
        search("cut", Training(wrong=1, killed=killed), *more)
    assert read_outcomes(Path("cut"))[killed].status in ("interrupted", "killed")
    again = Training(wrong=1)
    search("cut", again, *more)
    assert again.trials == list(range(killed, trials))
    assert told("cut") == told("whole")


@pytest.mark.slow
def test_a_search_whose_process_is_killed_goes_on() -> None:
    """With SIGKILL, after which nothing is written; its trial is of the state `killed`."""
    more = ("search.trials=5", "search.startup=2")
    search("whole", Training(wrong=1), *more)
    code = "from tests.cli import test_search as t; t.search('cut', t.Training(1, 3, 9), *{})"
    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", code.format(more)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [o.status for o in read_outcomes(Path("cut"))][3] == "killed"
    again = Training(wrong=1)
    search("cut", again, *more)
    assert again.trials == [3, 4]
    assert told("cut") == told("whole")


@pytest.mark.slow
def test_more_trials_go_on_where_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    search("long", Training(), "search.trials=4")
    search("short", Training(), "search.trials=2")
    more = Training()
    search("short", more, "search.trials=4")
    assert more.trials == [2, 3]
    assert [t[3] for t in told("short")] == [t[3] for t in told("long")]
    assert "search: going on after 2 of 4 trials" in capsys.readouterr().err


@pytest.mark.slow
def test_the_seed_of_a_search_is_its_own() -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        search(folder, Training(), f"search.seed={seed}", "search.trials=2")
    scores = [[t[3] for t in told(folder)] for folder in "abc"]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.slow
def test_several_objectives_have_a_front(capsys: pytest.CaptureFixture[str]) -> None:
    both = "search.objectives=[val/ner/f1,val/sentiment/accuracy]"
    search("two", Training(), "search.trials=3", both)
    captured = capsys.readouterr()
    assert "none tells when a trial is to be pruned" in captured.err
    report = json.loads(Path("two/sweep.json").read_text())
    # One is 1 - the other: none is better in all.
    assert sorted(report["best"]) == [0, 1, 2]
    assert "no job is better in all than" in captured.out
    assert "job 2" in Path("two/front.svg").read_text()


def fault(capsys: pytest.CaptureFixture[str], folder: str, *more: str) -> str:
    capsys.readouterr()
    assert search(folder, Training(), *more) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def test_a_study_of_another_search_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    search("one", Training(), "search.trials=2")
    before = Path("one", FILE).read_bytes()
    err = fault(capsys, "one", "trunk.lr=interval(1e-4, 1e-2)", "search.trials=4")
    assert "Expected `hydra.sweep.dir` to be a new folder, or that of a search" in err
    assert "trunk.lr" in err
    assert "search.pruner=median, and now it is none" in fault(capsys, "one", "search.pruner=none")
    assert Path("one", FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: [*lines[:2], b"\x00\x01", *lines[2:]], "study.log:3: Expected a study"),
        (lambda lines: [b"[]", *lines], "study.log:1: Expected a study of Optuna, but"),
        (lambda lines: [b'{"a": 1}'], "study.log: Expected a study of Optuna"),
    ],
)
def test_a_damaged_study_is_refused(
    damage: Callable[[list[bytes]], list[bytes]], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    search("one", Training(), "search.trials=2")
    file = Path("one", FILE)
    file.write_bytes(b"\n".join(damage(file.read_bytes().splitlines())) + b"\n")
    assert says in fault(capsys, "one", "search.trials=4")


@pytest.mark.slow
def test_a_line_that_a_kill_cut_is_written_anew() -> None:
    search("whole", Training(), "search.trials=4")
    search("cut", Training(), "search.trials=2")
    with Path("cut", FILE).open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    search("cut", Training(), "search.trials=4")
    assert [t[3] for t in told("cut")] == [t[3] for t in told("whole")]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("search.objectives=[val/ner/f9]", "`search.objectives[0]` to be one of"),
        ("search.objectives=[val/nex/f1]", "Did you mean 'ner'"),
        ("seed=1,2", "`seed` to be one value in a search"),
        ("trunk.lr=tag(log, interval(0, 1))", "`trunk.lr` to be a range"),
        ("search.trials=none", "`search.trials`"),
        ("search.sampler=tpx", "`search.sampler`"),
    ],
)
def test_mistakes_are_sentences(more: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in fault(capsys, "new", more)


def test_an_objective_that_no_run_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a task type that says it has a metric, and has none."""

    def nothing(cfg: Config, run_dir: Path) -> dict[str, float]:
        return {"val/score": 0.5, "val/ner/recall": 0.5}

    assert search("new", nothing, "search.objectives=[val/ner/f1]") == 2
    err = capsys.readouterr().err
    assert "Expected `search.objectives` to be one of {val/ner/recall, val/score}" in err


def test_a_search_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    search("one", Training(), "search.trials=2")
    with Path("one", "multirun.yaml").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is in use by another process" in fault(capsys, "one", "search.trials=3")


def test_a_folder_of_something_else_is_not_taken(capsys: pytest.CaptureFixture[str]) -> None:
    os.makedirs("one/.hydra")
    assert "holds a run or a sweep already" in fault(capsys, "one")


def test_a_sweep_without_a_search_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def training(cfg: Config, run_dir: Path) -> dict[str, float]:
        return {"val/score": cfg.trunk.lr}

    line = ["-m", "task=[ner]", "trunk.lr=0.1,0.3,0.2", "hydra.sweep.dir=grid"]
    assert main(line, training, CONF) == 0
    report = json.loads(Path("grid/sweep.json").read_text())
    assert [job["job"] for job in report["jobs"]] == [1, 2, 0]
    assert report["command"] == f"{program()} 'task=[ner]' trunk.lr=0.3"
    assert isinstance(Outcome(**report["jobs"][0]), Outcome)
    assert report["command"] in capsys.readouterr().out
