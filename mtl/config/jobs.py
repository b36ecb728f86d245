"""What Hydra calls for a run or for each job of a sweep."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mtl.config.folders import HYDRA, SWEEP
from mtl.config.schema import Config
from mtl.config.validate import chosen_only, from_dictconfig
from mtl.errors import ConfigError, MtlError, printable
from mtl.files import write_whole
from mtl.secrets import mask, mask_files

Train = Callable[[Config, Path], dict[str, float]]


@dataclass
class Outcome:
    """How a job of a sweep ended."""

    job: int
    folder: str
    overrides: list[str]
    status: str = "killed"
    """``killed`` until it ends: ``done``, ``error`` (the user's), ``crash``, ``interrupted``."""
    message: str = ""
    score: float | None = None
    """The monitored metric."""
    metrics: dict[str, float] = field(default_factory=dict)
    monitor: str = ""


class Run:
    """A single run. Its error is kept, since Hydra would print it in its own way.

    Args:
        train: Trains from a configuration in a folder.
    """

    def __init__(self, train: Train) -> None:
        self.train = train
        self.error: Exception | None = None

    def __call__(self, cfg: DictConfig) -> None:
        """Train in the folder that Hydra made."""
        try:
            folder = Path(HydraConfig.get().runtime.output_dir)
            _keep_secrets(folder)
            self.train(from_dictconfig(chosen_only(cfg)), folder)
        except Exception as error:  # shown by the process boundary
            self.error = error


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
        typed = [mask(text.removeprefix("++")) for text in hydra.overrides.task]
        outcome = Outcome(int(hydra.job.num), str(folder), typed)
        print(f"job {outcome.job}: {' '.join(outcome.overrides)} -> {folder}", flush=True)
        _write(outcome)  # Stays if this process is killed.
        outcome.status = "interrupted"
        try:
            self._run(cfg, folder, outcome)
        except MtlError as error:
            outcome.status, outcome.message = "error", mask(printable(error))
            print(f"job {outcome.job}: error: {outcome.message}", file=sys.stderr, flush=True)
        except Exception as error:
            outcome.status, outcome.message = "crash", mask(f"{type(error).__name__}: {error}")
            traceback.print_exc()
        finally:
            _write(outcome)
        return outcome.score

    def _run(self, cfg: DictConfig, folder: Path, outcome: Outcome) -> None:
        own = _file(folder, outcome.job)
        if taken := [file for file in (folder / HYDRA).glob("job-*.json") if file != own]:
            raise ConfigError(
                f"Expected `hydra.sweep.subdir` to give each job its own folder, but {folder} has"
                f" the results of {taken[0].stem}; put ${{hydra.job.num}} into it."
            )
        config = from_dictconfig(chosen_only(cfg))
        outcome.monitor = config.monitor
        outcome.metrics = {k: float(v) for k, v in self.train(config, folder).items()}
        outcome.score = outcome.metrics.get(config.monitor)
        outcome.status = "done"


def _keep_secrets(folder: Path) -> None:
    """Take secrets out of what Hydra wrote into a run's folder, and of the command line.

    W&B keeps the command line of its run.
    """
    mask_files(folder, f"{HYDRA}/*.yaml")
    mask_files(folder.parent, SWEEP)
    sys.argv = [mask(text) for text in sys.argv]


def read_outcomes(sweep_dir: Path) -> list[Outcome]:
    """Return how the jobs below a sweep's folder ended, by number.

    Jobs that were not begun are not among them.
    """
    files = sweep_dir.glob(f"**/{HYDRA}/job-*.json")
    found = [Outcome(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return sorted(found, key=lambda outcome: outcome.job)


def _write(outcome: Outcome) -> None:
    """Write down how a job ended, whole or not at all."""
    file = _file(Path(outcome.folder), outcome.job)
    write_whole(file, json.dumps(asdict(outcome), indent=2) + "\n")


def _file(folder: Path, number: int) -> Path:
    return folder / HYDRA / f"job-{number}.json"
