"""MLflow's file store, read back with MLflow's own client."""

from pathlib import Path
from typing import Any

import pytest

from mtl.reporting.loggers import finish_loggers
from tests.reporting.loggers.conftest import LOGGED, Build, log_all

mlflow = pytest.importorskip("mlflow")
CONFIG = {"trunk": {"lr": 1e-5, "path": None}, "names": ["a", "b"]}


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def runs(folder: Path) -> tuple[Any, list[Any]]:
    client = mlflow.MlflowClient(tracking_uri=(folder / "mlflow" / "store").as_uri())
    (experiment,) = [e for e in client.search_experiments() if e.name == "mtl"]
    return client, list(client.search_runs([experiment.experiment_id]))


def test_the_same_scalars_under_the_same_names(build: Build, tmp_path: Path) -> None:
    loggers = build(["mlflow"], tmp_path, config=CONFIG)
    log_all(loggers)
    finish_loggers(loggers, failed=False)
    client, (run,) = runs(tmp_path)
    wanted: dict[str, list[tuple[int, float]]] = {}
    for step, metrics in LOGGED:
        for name, value in metrics.items():
            wanted.setdefault(name, []).append((step, value))
    found = {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    assert found == wanted
    assert run.data.params["trunk.lr"] == "1e-05"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == tmp_path.name


def test_a_resumed_run_goes_on_in_the_same_run(build: Build, tmp_path: Path) -> None:
    first = build(["mlflow"], tmp_path, config=CONFIG)
    first[0].log_metrics({"train/loss": 1.0}, step=1)
    finish_loggers(first, failed=True)
    second = build(["mlflow"], tmp_path, config=CONFIG)
    second[0].log_metrics({"train/loss": 0.5}, step=2)
    assert runs(tmp_path)[1][0].info.status == "RUNNING"
    finish_loggers(second, failed=False)
    client, (run,) = runs(tmp_path)
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 0.5)]
    assert run.info.status == "FINISHED"
