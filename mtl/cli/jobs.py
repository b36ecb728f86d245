"""A run, or the jobs of a sweep, in folders of their own."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, flag_override

from mtl.cli.folders import HYDRA, SWEEP, claim_run, claim_sweep, release_run_dir
from mtl.cli.objectives import higher_is_better, objectives_of, primary_metrics
from mtl.cli.outcomes import Outcome, outcome_file, read_outcomes, write_outcome
from mtl.cli.search import OWN, Search, alone, goes_on, write_config
from mtl.cli.summary import exit_code, print_summary
from mtl.config.compose import Composed, checked
from mtl.config.hydra_errors import as_config_error
from mtl.errors import ConfigError, MtlError, ProcessError, printable
from mtl.launch.agree import from_first
from mtl.launch.place import is_first
from mtl.launch.processes import check_no_launcher
from mtl.search.study import PLANNED, PRUNED, STEPS, said_of
from mtl.secrets import mask, mask_files

if TYPE_CHECKING:
    from mtl.config.schema import Config

Train = Callable[["Config", Path], dict[str, float]]


def run(composed: Composed, train: Train, typed: bool) -> None:
    """Train in the folder of a run.

    Args:
        composed: What the command asks for.
        train: Trains from a configuration in a folder.
        typed: Whether the command names the folder itself.

    Raises:
        MtlError: What training raised; the folder is given back if nothing was saved in it.
    """
    with as_config_error():
        wanted = str(composed.cfg.hydra.run.dir)
    folder = Path(from_first("run_dir", lambda: str(claim_run(wanted, typed))))
    with flag_override(composed.cfg, "struct", False):
        composed.cfg.hydra.run.dir = str(folder)
    errors: list[BaseException] = []

    def job(cfg: DictConfig) -> None:
        del cfg
        _keep_secrets(folder)
        try:
            train(composed.config, folder)
        except Exception as error:  # Hydra would print it in its own way.
            errors.append(error)

    try:
        with as_config_error():
            run_job(job, composed.cfg, "hydra.run.dir", None, _context(composed))
        if errors:
            raise errors[0]
    except MtlError:
        if is_first():
            release_run_dir(folder)
        raise


def _context(composed: Composed) -> HydraContext:
    return HydraContext(composed.hydra.config_loader, Callbacks(composed.cfg))


def sweep(composed: Composed, train: Train, typed: bool) -> int:
    """Run the jobs of a sweep, print the table over them, and return the exit code.

    Args:
        composed: What the command asks for.
        train: Trains from a configuration in a folder.
        typed: Whether the command names the sweep's folder itself.

    Raises:
        ConfigError: If a launcher started this process as one of several.
        ProcessError: If jobs were killed.
    """
    check_no_launcher()
    with as_config_error():
        wanted = str(composed.cfg.hydra.sweep.dir)
    searching = composed.config.search.engine is not None
    again = searching and typed and goes_on(Path(wanted))
    folder = Path(wanted).absolute() if again else claim_sweep(wanted, typed)
    _tell_jobs(composed.cfg, folder)
    killed = 0
    try:
        _launch(composed, Job(train), folder if searching else None)
    except Exception:  # of the launcher: a job keeps its own
        killed = sum(outcome.status == "killed" for outcome in read_outcomes(folder))
        if not killed:
            raise
    finally:
        if outcomes := read_outcomes(folder):
            print_summary(outcomes, folder)
            _write_report(folder)
    if killed:
        raise ProcessError(
            f"Expected every job to end by itself, but {killed} of them did not: a process was "
            "killed, and the launcher ended the sweep; see the table above, and continue a job "
            "that has saved with resume=FOLDER."
        )
    return exit_code(outcomes)


def _write_report(folder: Path) -> None:
    """Write the page over a sweep's runs, and say where it is."""
    from mtl.reporting.report.files import PAGE
    from mtl.reporting.report.page import write_report
    from mtl.reporting.report.reading import runs_of

    write_report(folder, runs_of(folder, "train.py"))
    if (folder / PAGE).is_file():
        print(f"Report: {folder / PAGE}")


def _tell_jobs(cfg: DictConfig, folder: Path) -> None:
    """Let the jobs, which Hydra composes anew, know that they are of a sweep, and its folder."""
    quoted = QuotedString(str(folder), Quote.single).with_quotes()
    with flag_override(cfg, "struct", False):
        cfg.hydra.sweep.dir = str(folder)
        typed = [t for t in cfg.hydra.overrides.hydra if not t.startswith("hydra.sweep.dir=")]
        own = [f"hydra.sweep.dir={quoted}", "hydra.mode=MULTIRUN"]
        cfg.hydra.overrides.hydra = [*typed, *own]


def _launch(composed: Composed, job: Job, search_folder: Path | None) -> None:
    """Hand the sweep to Hydra's sweeper, or the trials of a search to its launcher."""
    context, plugins = _context(composed), Plugins.instance()
    given: dict[str, Any] = {"hydra_context": context, "task_function": job}
    given["config"] = composed.cfg
    with as_config_error():
        context.callbacks.on_multirun_start(config=composed.cfg, config_name=None)
        if search_folder is not None:
            launcher = plugins.instantiate_launcher(**given)
            with alone(search_folder):
                write_config(composed, search_folder)
                Search(composed, search_folder, launcher.launch).run()
        else:
            plugins.instantiate_sweeper(**given).sweep(arguments=composed.jobs)
        context.callbacks.on_multirun_end(config=composed.cfg, config_name=None)


class Job:
    """One job of a sweep, in this process or in a launcher's.

    A failure is printed and written down, not raised, so that the other jobs run.

    Args:
        train: Trains from a configuration in a folder.
    """

    def __init__(self, train: Train) -> None:
        self.train = train

    def __call__(self, cfg: DictConfig) -> float | None:
        """Train in the folder that Hydra made; return the monitored metric, None if it failed."""
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        _keep_secrets(folder)
        given = (text.removeprefix("++") for text in hydra.overrides.task)
        typed = [mask(text) for text in given if not text.startswith(OWN)]
        outcome = Outcome(int(hydra.job.num), str(folder), typed)
        print(f"job {outcome.job}: {' '.join(outcome.overrides)} -> {folder}", flush=True)
        write_outcome(outcome)  # Stays if this process is killed.
        outcome.status = "interrupted"
        begun = time.monotonic()
        try:
            self._run(cfg, folder, outcome)
        except MtlError as error:
            outcome.status, outcome.message = "error", mask(printable(error))
            print(f"job {outcome.job}: error: {outcome.message}", file=sys.stderr, flush=True)
        except Exception as error:
            outcome.status, outcome.message = "crash", mask(f"{type(error).__name__}: {error}")
            traceback.print_exc()
        finally:
            outcome.seconds = round(time.monotonic() - begun, 1)
            write_outcome(outcome)
        return outcome.score

    def _run(self, cfg: DictConfig, folder: Path, outcome: Outcome) -> None:
        own = outcome_file(folder, outcome.job)
        if taken := [file for file in (folder / HYDRA).glob("job-*.json") if file != own]:
            raise ConfigError(
                f"Expected `hydra.sweep.subdir` to give each job its own folder, but {folder} has"
                f" the results of {taken[0].stem}; put ${{hydra.job.num}} into it."
            )
        config = checked(cfg)
        outcome.monitor, *others = objectives_of(config)
        outcome.objectives = [outcome.monitor, *others] if others else []
        outcome.higher = higher_is_better(config, outcome.monitor)
        outcome.metrics = {k: float(v) for k, v in self.train(config, folder).items()}
        outcome.score = outcome.metrics.get(outcome.monitor)
        outcome.primary = primary_metrics(config, outcome.metrics)
        named = [*outcome.objectives, *(f"val/{t}/{m}" for t, m in outcome.primary.items())]
        outcome.lower = [n for n in dict.fromkeys(named) if not higher_is_better(config, n)]
        outcome.status = "done"
        if config.search.trial is not None:
            said = said_of(config.search)
            outcome.steps, outcome.planned = said.get(STEPS), said.get(PLANNED)
            outcome.status = "pruned" if said.get(PRUNED) else "done"


def _keep_secrets(folder: Path) -> None:
    """Take secrets out of what Hydra wrote into a run's folder, and of the command line.

    W&B keeps the command line of its run.
    """
    mask_files(folder, f"{HYDRA}/*.yaml")
    mask_files(folder.parent, SWEEP)
    sys.argv = [mask(text) for text in sys.argv]
