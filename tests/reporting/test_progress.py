from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from rich.console import Console
from rich.text import Text
from torch.utils.data import DataLoader

from mtl.reporting import bars
from mtl.reporting.bars import Bars, duration
from mtl.reporting.progress import ProgressReport, current
from mtl.reporting.tracking import track

STEPS = 40
SCORES = {10: 0.25, 20: 0.5, 30: 0.375, 40: 0.625}
FOUR = {"ner": "f1", "sentiment": "accuracy", "qa": "f1", "summarization": "rougeL"}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Toy(L.LightningModule):
    """Steps and scores, with what the report reads."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.results: dict[str, float] = {}
        self.training_logs: dict[str, float] = {}
        self.steps_per_epoch = STEPS // 2
        tasks = {name: SimpleNamespace(primary_metric=metric) for name, metric in FOUR.items()}
        self.model: Any = SimpleNamespace(tasks=tasks)
        self.fail_at = fail_at

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if batch_idx == self.fail_at:
            raise RuntimeError("it broke")
        self.training_logs = {"train/loss": 0.125}
        return self.layer(batch).sum()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None: ...

    def on_validation_epoch_end(self) -> None:
        score = SCORES[self.global_step]
        self.results |= {f"val/{name}/{metric}": score for name, metric in FOUR.items()}
        self.results["val/score"] = score

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> None: ...


def run(report: ProgressReport, module: Toy | None = None) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        max_epochs=1,
        val_check_interval=10,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[report],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    module = module or Toy()
    trainer.fit(module, data(STEPS), data(3))
    trainer.test(module, data(3), verbose=False)
    return trainer


def data(count: int) -> DataLoader[Any]:
    return DataLoader(torch.zeros(count, 1))  # type: ignore[arg-type]


pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available"),
]


def watched(terminal: bool = False) -> tuple[Console, Any]:
    file = Terminal() if terminal else io.StringIO()
    return Console(file=file, width=80, force_terminal=terminal, legacy_windows=False), file


def test_a_line_for_each_validation_marks_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    target, file = watched()
    run(ProgressReport(STEPS, target=target))
    lines = file.getvalue().splitlines()
    assert lines[0].split() == ["step", "epoch", *FOUR, "score"]
    assert [line.split() for line in lines[2:6]] == [
        ["10", "0.50", *["0.2500"] * 5, "best"],
        ["20", "1.00", *["0.5000"] * 5, "best"],
        ["30", "1.50", *["0.3750"] * 5],
        ["40", "2.00", *["0.6250"] * 5, "best"],
    ]
    assert re.fullmatch(r"40 steps in \d+:\d\d", lines[6])
    assert len(lines) == 7
    assert not CONTROL.search(file.getvalue())
    assert max(map(len, lines)) <= 80


def test_a_file_gets_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "QUIET", 0.0)
    monkeypatch.setattr(bars, "QUIET_SHARE", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    target, file = watched()
    run(ProgressReport(STEPS, target=target))
    text = file.getvalue()
    assert re.search(r"^   7   0\.35  loss 0\.1250  0:0\d left$", text, re.MULTILINE)
    assert "test 2/3" in text
    assert not CONTROL.search(text)
    assert max(map(len, text.splitlines())) <= 80


def test_plain_lines_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(bars.time, "monotonic", lambda: now)
    lines = Bars(watched()[0])
    shown = []
    for _ in range(24 * 3600):
        now += 1.0
        if lines.due():
            lines.show("")
            shown.append(now)
    assert shown[:2] == [30, 60]
    assert len(shown) < 150


def test_a_terminal_gets_bars_and_its_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "REDRAW", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    target, file = watched(terminal=True)
    run(ProgressReport(STEPS, target=target))
    text = file.getvalue()
    assert "7/40" in text
    assert "loss 0.1250" in text
    assert "ner f1 0.2500 · sentiment" in text
    assert re.search(r"validation .*2/3", text)
    assert re.search(r"test .*2/3", text)
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_the_bar_goes_when_training_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    target, file = watched(terminal=True)
    with pytest.raises(RuntimeError, match="it broke"):
        run(ProgressReport(STEPS, target=target), Toy(fail_at=5))
    text = file.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_disabled_shows_nothing() -> None:
    target, file = watched()
    run(ProgressReport(STEPS, target=target, enabled=False))
    assert file.getvalue() == ""


def test_a_resumed_run_remembers_the_best() -> None:
    report = ProgressReport(STEPS, target=watched()[0])
    run(report)
    assert report.state_dict() == {"best": 0.625}
    again = ProgressReport(STEPS, target=watched()[0], higher_is_better=False)
    again.load_state_dict({"best": 0.3125})
    run(again)
    assert again.best == 0.25


@pytest.mark.parametrize("works", [1, 2])
def test_bars_fit_80_columns(works: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    target, file = watched(terminal=True)
    now = 0.0
    shown = Bars(target)
    monkeypatch.setattr(shown, "get_time", lambda: now)
    for _ in range(works):
        task = shown.add("validation", 1_000_000, 0)
        shown.update(task, completed=1, facts="loss 0.1234")
        now += 98.765
        shown.update(task, completed=123_456)
    shown.below = current({f"val/{t}/{m}": 0.5 for t, m in FOUR.items()}, FOUR)
    target.print(shown.get_renderable())
    text = Text.from_ansi(file.getvalue()).plain
    lines = [line.rstrip() for line in text.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    assert "123,456/1,000,000" in lines[0]
    assert "11:42 left" in lines[0]
    assert "loss 0.1234" in lines[0]
    assert lines[works:] == [
        "ner f1 0.5000 · sentiment accuracy 0.5000 · qa f1 0.5000",
        "summarization rougeL 0.5000",
    ]


def test_time_left_counts_from_where_a_resumed_run_began(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Bars(watched()[0])
    now = 0.0
    monkeypatch.setattr(shown, "get_time", lambda: now)
    task = shown.add("training", 200, 100)
    assert shown.left(task) == ""
    for step in range(101, 151):
        now += 2.0
        shown.update(task, completed=step)
    assert shown.left(task) == "1:40 left"
    assert shown.line(task) == "training 150/200  1:40 left"


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 59.6, 3599, 3600, 90_061)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]


def test_track_shows_what_takes_time_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "REDRAW", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    target, file = watched(terminal=True)
    with track("Encoding", 2000, target=target) as advance:
        for _ in range(1000):
            advance(2)
    assert file.getvalue() == ""
    monkeypatch.setattr("mtl.reporting.tracking.DELAY", -1.0)
    with track("Encoding", 10, target=target) as advance:
        for _ in range(5):
            advance(2)
    assert "6/10" in file.getvalue()
    assert file.getvalue().endswith("\x1b[?25h" + file.getvalue().rpartition("\x1b[?25h")[2])


def test_a_part_of_a_long_unit_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "QUIET", -1.0)
    monkeypatch.setattr(bars, "QUIET_SHARE", -1.0)
    monkeypatch.setattr("mtl.reporting.tracking.DELAY", -1.0)
    target, file = watched(terminal=False)
    with track("Predicting", 2, target=target) as advance:
        for _ in range(10):
            advance(0.1)
    assert "Predicting 0/2 25%" in file.getvalue()
    assert "Predicting 1/2  " in file.getvalue()


def test_track_can_be_silent() -> None:
    target, file = watched(terminal=True)
    with track("Encoding", 10, enabled=False, target=target) as advance:
        advance(10)
    assert file.getvalue() == ""
