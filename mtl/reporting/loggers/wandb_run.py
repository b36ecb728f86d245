"""Weights & Biases: one run for each run's folder, whatever else runs in the process.

RUN/wandb/run_id                        so that a resumed run continues the same W&B run
RUN/wandb/offline-run-<time>-<id>/      what ``wandb sync`` uploads, one for each (re)start
"""

from __future__ import annotations

import os
import shlex
import shutil
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtl.errors import ConfigError
from mtl.files import write_whole
from mtl.reporting.console import is_rank_zero, note, short_path
from mtl.reporting.dashboard.tables import tables_of
from mtl.reporting.loggers.base import LOGGERS, RunFacts, RunLogger
from mtl.reporting.loggers.wandb_login import has_login
from mtl.secrets import mask

if TYPE_CHECKING:
    from wandb import Run

FOLDER = "wandb"
STEP = "trainer/global_step"
"""The x axis, under the name that Lightning's own logger gives it."""
WAIT_SECONDS = 30.0
FINISH_SECONDS = 600.0
"""How long the end of a run waits for what is not uploaded."""
MODES = {"dryrun": "offline", "run": "online"}


@LOGGERS.register("wandb")
class WandbLogger(RunLogger):
    """Logs to a W&B run that starts with the logger, on rank 0, and ends with :meth:`finish`.

    Offline, a resumed run is a second folder with the same id: ``wandb sync`` with both uploads
    them in order of time, and ``wandb leet`` shows each part by itself. After a kill, the steps
    since the last checkpoint are there twice, with equal values; after a signal none is.

    Raises:
        ConfigError: If the run is to be online and cannot be.
    """

    package = "wandb"
    install = "wandb"

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        self.options = facts.wandb
        self.folder = facts.folder / FOLDER
        self._why = ""
        self._run: Run | None = self._start() if is_rank_zero() else None

    @property
    def experiment(self) -> Run | None:
        """The W&B run, for images, tables and the like; None on other ranks."""
        return self._run

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics with their step as one row of the run's history."""
        if self._run is not None:
            self._run.log({**metrics, STEP: step})

    def finish(self, *, failed: bool) -> None:
        """End the run, as finished or as failed, and wait for what is not uploaded."""
        if self._run is None:
            return
        try:
            if not failed:  # One that goes on later has its tables at its end.
                self._log_tables(self._run)
                if self.options.log_model:
                    self._log_model(self._run)
        finally:
            run, self._run = self._run, None
            self._end(run, failed=failed)

    def _end(self, run: Run, *, failed: bool) -> None:
        """End a run; say how to upload what a server that is not there has not got."""
        try:
            run.finish(exit_code=1 if failed else 0)
        except TimeoutError:
            folder = shlex.quote(short_path(self.folder))
            note(
                f"W&B: not all is uploaded after {FINISH_SECONDS:.0f} seconds. All is in the run's "
                f"folder; upload it: wandb sync {folder}/run-*"
            )

    def _log_tables(self, run: Run) -> None:
        """Log scores by label, confusions, and answers right and wrong, as the report has them."""
        import wandb

        from mtl.reporting.report.reading import read_run

        found = tables_of(read_run(self.facts.folder).evidence)
        tables = {n: wandb.Table(columns=t.columns, data=t.rows) for n, t in found.items()}
        if tables:
            run.log({**tables, STEP: self._step})

    def _log_model(self, run: Run) -> None:
        """Upload the model's folder, whose lineage is then this run."""
        import wandb

        folder = self.facts.folder / "model"
        if folder.is_dir():
            artifact = wandb.Artifact(f"model-{run.id}", type="model")
            artifact.add_dir(str(folder))
            run.log_artifact(artifact)

    def _start(self) -> Run:
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))
        mode = self._mode()
        self.folder.mkdir(parents=True, exist_ok=True)
        run = self._online() if mode == "online" else self._init(mode)
        self._define(run)
        if run.offline:
            note(self._how_to_see())
        elif run.url:
            note(f"W&B: {run.url}")
        return run

    def _mode(self) -> str:
        """Return ``online``, ``offline`` or ``disabled``; see `logger.wandb.mode`."""
        import wandb

        asked: str = self.options.mode
        login = has_login(str(wandb.setup().settings.base_url))
        if asked == "auto":
            self._why = "" if login else " (no login)"
            asked = os.environ.get("WANDB_MODE") or ("online" if login else "offline")
        asked = MODES.get(asked, asked)
        if asked == "online" and not login:
            raise ConfigError(
                "logger.wandb.mode: Expected a login to W&B for mode 'online', but there is no API "
                "key; run `wandb login`, set WANDB_API_KEY, or choose logger.wandb.mode=offline."
            )
        return asked

    def _online(self) -> Run:
        """Start online; where nobody insists on it, offline if the server does not answer."""
        import wandb

        there = set(self.folder.glob("run-*"))
        try:
            return self._init("online")
        except wandb.Error as error:
            reason = str(error).splitlines()[0].strip().rstrip(".")
            if self.options.mode == "online":
                raise ConfigError(
                    f"logger.wandb.mode: Expected to reach W&B for mode 'online', but: {reason}. "
                    "Choose logger.wandb.mode=offline to upload later."
                ) from error
            # The server process still holds the id; only its end gives it back.
            wandb.teardown()
            for attempt in set(self.folder.glob("run-*")) - there:
                shutil.rmtree(attempt, ignore_errors=True)
            self._why = f" ({reason})"
            return self._init("offline")

    def _init(self, mode: str) -> Run:
        import wandb

        from mtl.reporting.report.reading import read_run

        facts, options = self.facts, self.options
        in_sweep = f"{facts.sweep}/{facts.job}" if facts.sweep and facts.job else None
        return wandb.init(
            mode=mode,
            id=self._run_id(),
            resume="allow",
            dir=str(facts.folder),
            project=options.project,
            entity=options.entity,
            name=options.name or in_sweep or facts.folder.name,
            group=options.group or facts.sweep,
            tags=list(options.tags),
            notes=options.notes or mask(read_run(facts.folder).command),
            job_type=options.job_type,
            config=dict(facts.config),
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=WAIT_SECONDS,
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
            ),
        )

    def _run_id(self) -> str:
        """Return the id of this folder's W&B run, made once; random, whatever was seeded.

        Under ``wandb agent`` it is the one that the sweep's server gave this run.
        """
        file = self.folder / "run_id"
        if not file.exists():
            given = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
            write_whole(file, (given or uuid.uuid4().hex[:8]) + "\n")
        return file.read_text(encoding="utf-8").strip()

    def _define(self, run: Run) -> None:
        """Tell W&B the x axis, and of each metric whether its best is the highest or lowest."""
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        for name, best in self.facts.directions.items():
            run.define_metric(name, step_metric=STEP, summary=f"{best},last")

    def _how_to_see(self) -> str:
        folder = shlex.quote(short_path(self.folder))
        return (
            f"W&B: offline{self._why}. See it: wandb leet {folder} · "
            f"upload it: wandb sync {folder}/offline-run-*"
        )
