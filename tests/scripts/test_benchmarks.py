"""The runner of the benchmarks: what it computes, prints and refuses; and that every case loads."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from mtl.reporting import bars
from scripts.benchmarks import report, runner
from scripts.benchmarks.progress import Progress
from scripts.benchmarks.runner import Case, Check, Disagreement, Prepared, Ratio, Settings

THREE = Settings(rounds=3, threads=1)


def playing(figures: list[float], log: list[str], name: str) -> Callable[[], float]:
    """Return a side that gives one figure after another and writes down its turns."""
    left = iter(figures)

    def work() -> float:
        log.append(name)
        return next(left)

    return work


def case_of(checks: list[Check] | None = None, log: list[str] | None = None) -> Case:
    """Return a case whose figures are known: a warm-up and three rounds of two sides."""
    turns = [] if log is None else log

    def prepare(settings: Settings) -> Prepared:
        del settings
        return Prepared(
            unit="tokens/s",
            sides={
                "mtl": playing([1e9, 30.0, 10.0, 40.0], turns, "mtl"),
                "peer": playing([1.0, 10.0, 10.0, 10.0], turns, "peer"),
            },
            ratios=[
                Ratio("rate", "mtl", "peer", 2.5),
                Ratio("cost", "mtl", "peer", 2.5, at_least=False),
                Ratio("bare", "peer", "mtl"),
            ],
            checks=checks or [],
            notes={"kept": "yes"},
        )

    return Case("known", "known figures", prepare)


def test_ratios_are_taken_within_rounds() -> None:
    log: list[str] = []
    record = runner.measure(case_of(log=log), THREE)
    assert log == ["mtl", "peer"] * 4
    assert record["rounds"] == {"mtl": [30, 10, 40], "peer": [10, 10, 10]}
    rate, cost, bare = record["ratios"]
    assert (rate["lowest"], rate["median"], rate["highest"]) == (1, 3, 4)
    assert (rate["met"], cost["met"], bare["met"]) == (True, False, None)
    assert bare["median"] == pytest.approx(1 / 3)
    assert json.loads(json.dumps(record)) == record


def test_a_case_may_need_fewer_rounds_than_asked_for() -> None:
    def prepare(settings: Settings) -> Prepared:
        ready = case_of().prepare(settings)
        ready.most_rounds = 1
        return ready

    record = runner.measure(Case("known", "known figures", prepare), THREE)
    assert record["rounds"] == {"mtl": [30], "peer": [10]}


def test_median_of_ratios_is_not_the_ratio_of_medians() -> None:
    values = {"a": [1.0, 10.0, 100.0], "b": [1.0, 100.0, 10.0]}
    found = runner.summary(Ratio("", "a", "b"), values)
    assert (found["lowest"], found["median"], found["highest"]) == (0.1, 1, 10)


@pytest.mark.parametrize(("ours", "agree"), [(1.0009, True), (0.9991, True), (1.0011, False)])
def test_check_is_relative(ours: float, agree: bool) -> None:
    assert Check("loss", 100 * ours, 100.0, 1e-3).passed is agree


def test_check_fails_on_what_is_no_number() -> None:
    assert not Check("loss", float("nan"), 1.0, 1e-3).passed


def test_disagreement_stops_before_anything_is_timed() -> None:
    log: list[str] = []
    with pytest.raises(Disagreement, match=r"known: expected the loss .* 1.5 and 1\."):
        runner.measure(case_of([Check("the loss", 1.5, 1.0, 1e-3)], log), THREE)
    assert log == []


def test_run_goes_on_after_a_disagreement_and_exits_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "bad": replace(case_of([Check("the loss", 1.5, 1.0, 1e-3)]), name="bad"),
        "known": case_of(),
        "far": replace(case_of(), name="far", needs_data=("corpus",)),
    }
    monkeypatch.setattr(runner, "load", cases.__getitem__)
    assert runner.run(list(cases), THREE, tmp_path) == 1
    printed = capsys.readouterr()
    assert "expected the loss" in printed.err
    assert "far: skipped: MTL_DATA is unset" in printed.out
    assert [p.name for p in tmp_path.iterdir()] == ["known.json"]
    assert runner.run(["known"], replace(THREE, data=tmp_path), tmp_path) == 0


def test_progress_on_a_pipe_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(bars, "QUIET", 0.0)
    monkeypatch.setattr(bars, "QUIET_SHARE", 0.0)
    progress = Progress(3, Console(file=out))
    progress.skip("far: skipped")
    with progress.case("known", "known figures") as turn:
        turn(0, 4)
        turn(2, 4)
    with pytest.raises(Disagreement), progress.case("bad", "bad figures"):
        raise Disagreement
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "far: skipped",
        "known (1 of 2): known figures",
        "known 0/4 · all cases 0/2",
        "known 2/4  0:00 left · all cases 0/2",
        "bad (2 of 2): bad figures",
    ]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    case = replace(case_of(), needs_data=("corpus",))
    found = runner.missing(case, replace(THREE, data=tmp_path))
    assert found == f"skipped: no corpus/ in {tmp_path}"
    (tmp_path / "corpus").mkdir()
    assert runner.missing(case, replace(THREE, data=tmp_path)) is None


def test_python_of_another_environment_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(case_of(), needs_python="OTHER_PYTHON")
    monkeypatch.delenv("OTHER_PYTHON", raising=False)
    assert "OTHER_PYTHON is unset" in str(runner.missing(case, THREE))
    monkeypatch.setenv("OTHER_PYTHON", sys.executable)
    assert runner.missing(case, THREE) is None


def test_report_stands_between_the_markers(tmp_path: Path) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "images" / "all.svg"
    page.write_text(f"before\n{report.START}\nold\n{report.END}\nafter\n")
    record = runner.measure(case_of(), THREE)
    report.report([record], page, picture)
    first = page.read_text()
    report.report([record], page, picture)
    assert page.read_text() == first
    assert first.startswith(f"before\n{report.START}\n")
    assert first.endswith(f"\n{report.END}\nafter\n")
    assert "old" not in first
    assert "| known | rate | 3 (1 to 4) | ≥ 2.5 | met |" in first
    assert "| known | cost | 3 (1 to 4) | ≤ 2.5 | **missed** |" in first
    assert "(images/all.svg)" in first
    assert "threads: 1" in first
    drawn = ElementTree.parse(picture).getroot()
    assert drawn.tag.endswith("svg")


def test_no_words_of_the_picture_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.text import Text

    kept: list[Any] = []
    monkeypatch.setattr(plt, "close", kept.append)
    record = runner.measure(case_of(), THREE)
    far = {**record["ratios"][0], "label": "far " * 16, "target": 0.123456789}
    report.draw([{**record, "ratios": [*record["ratios"], far]}], tmp_path / "all.svg")
    (figure,) = kept
    page = figure.bbox
    words = [t for t in figure.findobj(Text) if {"target", "known:"} & set(t.get_text().split())]
    assert len(words) >= 6
    places = [text.get_window_extent() for text in words]
    assert all(page.x0 <= place.x0 and place.x1 <= page.x1 for place in places)


def test_page_without_markers_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no place for figures\n")
    with pytest.raises(ValueError, match="Expected <!-- figures"):
        report.report([], page, tmp_path / "all.svg")
    assert page.read_text() == "no place for figures\n"


def test_records_are_read_in_the_order_of_cases(tmp_path: Path) -> None:
    record: dict[str, Any] = runner.measure(case_of(), THREE)
    for name in reversed(runner.names()[:2]):
        runner.write({**record, "name": name}, tmp_path)
    assert [r["name"] for r in runner.read(tmp_path)] == runner.names()[:2]


@pytest.mark.parametrize("name", runner.names())
def test_case_loads_under_its_files_name(name: str) -> None:
    case = runner.load(name)
    assert case.name == name
    assert case.title


def test_docs_have_a_place_for_figures() -> None:
    text = (runner.ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert 0 < text.index(report.START) < text.index(report.END)


def test_side_of_mtl_trains_and_starts_again_from_the_same_weights() -> None:
    import torch

    from scripts.benchmarks.ours import SKIPPED, Training

    line = [
        "task=ner",
        "tasks.ner.data.max_examples=40",
        "trunk.dropout=0",
        "batching.examples=4",
        "trainer.max_steps=4",
        "logger=csv",
    ]
    log = logging.getLogger("lightning.pytorch")
    log.setLevel(logging.INFO)
    training = Training(line, threads=1)
    assert not log.isEnabledFor(logging.INFO)
    before = training.loss()
    timing = training.round(4)
    torch.use_deterministic_algorithms(False)
    assert timing.steps == 4 - SKIPPED
    assert timing.examples == 4 * timing.steps
    assert timing.seconds > 0
    longest = max(training.prepared.data.train[0].lengths)
    assert timing.examples < timing.tokens <= timing.examples * longest
    assert training.loss() == before
    training.folder.cleanup()


def process(scale: float, name: str) -> float:
    """Print to be overlooked, and return a process's id, scaled."""
    print(name)
    return os.getpid() * scale


def test_a_function_runs_in_a_process_of_its_own() -> None:
    found = {runner.own_process(process, 0.5, "it's") for _ in range(2)}
    assert len(found | {os.getpid() * 0.5}) == 3
