from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mtl.reporting.loggers import build_loggers
from mtl.reporting.loggers.base import RunFacts
from mtl.reporting.loggers.csv_file import CsvLogger
from tests.reporting.loggers.conftest import LOGGED, TASKS, log_all


def read(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics.csv", index_col="step")


def test_a_row_for_each_step_with_every_value(tmp_path: Path) -> None:
    log_all(build_loggers(["csv"], tmp_path, config={}, tasks=TASKS))
    table = read(tmp_path)
    assert list(table.index) == [10, 20, 30, 40]
    for step, metrics in LOGGED:
        for name, value in metrics.items():
            assert table.loc[step, name] == value
    assert table.notna().sum().sum() == sum(len(metrics) for _, metrics in LOGGED)


def test_values_keep_all_their_digits(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    logger = CsvLogger(RunFacts(tmp_path))
    logger.log_metrics({"a": value, "b": float("nan")}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == f"step,a,b\n1,{value!r},nan\n"
    assert pd.isna(read(tmp_path).loc[1, "b"])


@pytest.mark.parametrize("cut", [b"", b"40,0.1", b"40,0.1,0.2,0.3,0.4,0.5,0.6,0.7"])
@pytest.mark.parametrize("first", range(len(LOGGED)))
def test_a_resumed_run_ends_with_the_file_of_one_never_stopped(
    tmp_path: Path, first: int, cut: bytes
) -> None:
    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
        log_all([CsvLogger(RunFacts(tmp_path / name))])
    with (tmp_path / "resumed" / "metrics.csv").open("ab") as file:
        file.write(cut)
    resumed = CsvLogger(RunFacts(tmp_path / "resumed"))
    for step, metrics in LOGGED[first:]:
        resumed.log_metrics(metrics, step=step)
    assert (tmp_path / "whole" / "metrics.csv").read_bytes() == (
        tmp_path / "resumed" / "metrics.csv"
    ).read_bytes()


def test_nothing_is_lost_before_the_next_log(tmp_path: Path) -> None:
    logger = CsvLogger(RunFacts(tmp_path))
    for step in range(1, 50):
        logger.log_metrics({"a": step}, step=step)
        logger.log_metrics({f"b{step // 20}": step}, step=step)
        assert list(read(tmp_path).index) == list(range(1, step + 1))
    assert not list(tmp_path.glob("*.part"))
