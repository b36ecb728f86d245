"""MLflow: one run for each run's folder, in a local file store unless a server is named.

RUN/mlflow/run_id    so that a resumed run continues the same MLflow run
RUN/mlflow/store/    the file store, unless MLFLOW_TRACKING_URI names another

The same scalars as everywhere, under the same names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mtl.files import write_whole
from mtl.reporting.console import is_rank_zero, note
from mtl.reporting.loggers.base import LOGGERS, RunFacts, RunLogger

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "mlflow"
SERVER = "MLFLOW_TRACKING_URI"
ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
"""Without this variable MLflow refuses file stores, which it does not develop any more."""
LONGEST = 500
"""Characters of a parameter."""
MANY = 100
"""Parameters that are sent at once."""


@LOGGERS.register("mlflow")
class MlflowLogger(RunLogger):
    """Logs to an MLflow run, on rank 0, and ends it with :meth:`finish`."""

    package = "mlflow"
    install = "'mtl[mlflow]'"

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        self.folder = facts.folder / FOLDER
        self._client: MlflowClient | None = None
        self._id = ""
        if is_rank_zero():
            self._start()

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics with their step."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._id, metrics=found)

    def finish(self, *, failed: bool) -> None:
        """End the run, as finished or as failed."""
        if self._client is not None:
            self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")
            self._client = None

    def _start(self) -> None:
        from mlflow import MlflowClient

        place = os.environ.get(SERVER)
        if place is None:
            os.environ.setdefault(ALLOWED, "true")
            place = (self.folder / "store").resolve().as_uri()
            note(f"MLflow: {ALLOWED}=true mlflow ui --backend-store-uri {place}")
        self._client = MlflowClient(tracking_uri=place)
        file = self.folder / "run_id"
        if file.exists():
            self._id = file.read_text(encoding="utf-8").strip()
            self._client.update_run(self._id, status="RUNNING")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._id = self._new(self._client)
        write_whole(file, self._id + "\n")

    def _new(self, client: MlflowClient) -> str:
        """Return the id of a new run, which knows the run's configuration."""
        from mlflow.entities import Param

        options, facts = self.facts.wandb, self.facts
        known = client.get_experiment_by_name(options.project)
        experiment = known.experiment_id if known else client.create_experiment(options.project)
        name = "/".join(filter(None, (facts.sweep, facts.job))) or facts.folder.name
        tags = {"sweep": facts.sweep} if facts.sweep else {}
        run = client.create_run(experiment, run_name=options.name or name, tags=tags)
        params = [Param(key, str(value)[:LONGEST]) for key, value in _flat(facts.config)]
        for at in range(0, len(params), MANY):
            client.log_batch(run.info.run_id, params=params[at : at + MANY])
        return str(run.info.run_id)


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a configuration's values by dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
