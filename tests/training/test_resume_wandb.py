"""A stopped and resumed run is one W&B run, with the history of one that was never stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import Config
from mtl.errors import Interrupted
from mtl.training.run import train
from tests.reporting.loggers.conftest import isolate
from tests.reporting.loggers.test_wandb_run import STEP as AXIS
from tests.reporting.loggers.test_wandb_run import records, runs, values
from tests.training.resuming import STEP, Killed, die, kill_at, resumed, run_config
from tests.training.site import Site

Row = dict[str, float]


@pytest.fixture(autouse=True, scope="module")
def _no_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, tmp_path_factory.mktemp("home"))
        yield


def config(site: Site) -> Config:
    return run_config(site, logger__names=["wandb"], logger__wandb__mode="offline")


def history(run: Path) -> list[Row]:
    """Every row of numbers of all parts, in order of time, but for how fast it went."""
    rows = [values(row) for part in runs(run) for row in records(part, "history")]
    kept = [
        {
            k: v
            for k, v in row.items()
            if not k.endswith(("_per_second", "memory_gb")) and not k.startswith("tables/")
        }
        for row in rows
    ]
    return [row for row in kept if row.keys() - {AXIS}]


def by_step(rows: list[Row]) -> dict[float, Row]:
    """What a chart shows: at each step the latest value of each metric."""
    found: dict[float, Row] = {}
    for row in rows:
        found.setdefault(row[AXIS], {}).update(row)
    return found


@pytest.fixture(scope="module")
def whole(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The history of the run that nothing stopped."""
    run = tmp_path_factory.mktemp("whole")
    train(config(site), run)
    return history(run)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("end", "raised"), [(terminate, Interrupted), pytest.param(die, Killed, marks=pytest.mark.slow)]
)
def test_one_run_with_the_whole_history(
    site: Site,
    whole: list[Row],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Any,
    raised: type[BaseException],
) -> None:
    cfg = config(site)
    with monkeypatch.context() as patch:
        kill_at(patch, *STEP, 5, after=True, end=end)
        with pytest.raises(raised):
            train(cfg, tmp_path)
    train(resumed(cfg, tmp_path), tmp_path)
    parts = runs(tmp_path)
    assert len(parts) == 2
    # offline-run-TIME-ID, with a number behind it where both began in the same second.
    assert len({part.name.split("-")[3] for part in parts}) == 1
    found = history(tmp_path)
    assert by_step(found) == by_step(whole)
    if raised is Interrupted:  # Everything was saved: no step is there twice.
        assert found == whole
