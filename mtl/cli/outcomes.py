"""How the jobs of a sweep ended, each written down in its own folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mtl.config.saved import HYDRA
from mtl.files import write_whole


@dataclass
class Outcome:
    """How a job of a sweep ended."""

    job: int
    folder: str
    overrides: list[str]
    status: str = "killed"
    """``killed`` until it ends: ``done``, ``pruned``, ``error`` (the user's), ``crash``,
    ``interrupted``."""
    message: str = ""
    score: float | None = None
    """The monitored metric."""
    metrics: dict[str, float] = field(default_factory=dict)
    monitor: str = ""
    higher: bool = True
    """Whether a higher score is better."""
    primary: dict[str, str] = field(default_factory=dict)
    """Each task's primary metric."""
    objectives: list[str] = field(default_factory=list)
    """What a search is to make best, where that is several metrics."""
    lower: list[str] = field(default_factory=list)
    """Those of them, and of the tasks' primary metrics in validations, that are best when low."""
    seconds: float = 0.0
    steps: int | None = None
    """Taken by a trial of a search, of so many planned."""
    planned: int | None = None


ENDED = ("done", "pruned", "error", "crash")
"""How a job ends that is not to be run anew."""


def read_outcomes(sweep_dir: Path) -> list[Outcome]:
    """Return how the jobs below a sweep's folder ended, by number.

    Jobs that were not begun are not among them.
    """
    files = sweep_dir.glob(f"**/{HYDRA}/job-*.json")
    outcomes = [Outcome(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return sorted(outcomes, key=lambda outcome: outcome.job)


def write_outcome(outcome: Outcome) -> None:
    """Write down how a job ended, whole or not at all."""
    file = outcome_file(Path(outcome.folder), outcome.job)
    write_whole(file, json.dumps(asdict(outcome), indent=2) + "\n")


def outcome_file(folder: Path, number: int) -> Path:
    """Return where a job writes down how it ended."""
    return folder / HYDRA / f"job-{number}.json"
