from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mtl.reporting.loggers import build_loggers, finish_loggers
from tests.reporting.loggers.conftest import LOGGED, TASKS, log_all


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = events.Tags()["scalars"]
    return {n: [(event.step, event.value) for event in events.Scalars(n)] for n in names}


def logged() -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for step, metrics in LOGGED:
        for name, value in metrics.items():
            found.setdefault(name, []).append((step, value))
    return found


def test_names_steps_and_values(tmp_path: Path) -> None:
    loggers = build_loggers(["tensorboard"], tmp_path, config={}, tasks=TASKS)
    for logger in loggers:
        logger.finalize("success")  # as Lightning does after every stage
    log_all(loggers)
    finish_loggers(loggers, failed=False)
    assert read(tmp_path) == logged()
    assert {p.parent for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "tensorboard"}


def test_a_resumed_run_hides_what_it_repeats(tmp_path: Path) -> None:
    stopped = build_loggers(["tensorboard"], tmp_path, config={}, tasks=TASKS)
    for step in (10, 20, 30, 40):
        stopped[0].log_metrics({"train/loss": -1.0}, step=step)
    finish_loggers(stopped, failed=True)
    resumed = build_loggers(["tensorboard"], tmp_path, config={}, tasks=TASKS)
    for step in (20, 30):
        resumed[0].log_metrics({"train/loss": 1.0}, step=step)
    finish_loggers(resumed, failed=False)
    steps = read(tmp_path)["train/loss"]
    assert steps == [(10, -1.0), (20, -1.0), (20, 1.0), (30, 1.0)]
