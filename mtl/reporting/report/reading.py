"""What the folder of a run says of it; whatever is missing or damaged is left out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtl.errors import CheckpointError, Problem, meant_folder
from mtl.reporting.report.curves import Curve, read_curves
from mtl.reporting.report.files import FOLDER, RUN, TEST, TUNING, VALIDATION
from mtl.shipped import program

HYDRA = ".hydra"
METRICS = "metrics.json"
Values = Mapping[str, Any]


@dataclass
class RunFiles:
    """One run, as its folder has it."""

    folder: Path
    name: str
    overrides: list[str]
    config: Values
    metrics: Mapping[str, float]
    """Empty where the run has not ended."""
    curves: Mapping[str, Curve]
    facts: Values
    evidence: Mapping[str, Values]
    """By split: ``test``, ``validation``."""
    status: str = ""
    """How it ended as a job of a sweep, if it is one that has ended: ``pruned``, ``error``, ..."""
    varied: str = ""
    """The overrides that not all runs of the page have."""
    missing: list[str] = field(default_factory=list)
    tuning: Values = field(default_factory=dict)
    """What is known of its tuning method at the end."""

    @property
    def ended(self) -> bool:
        """Whether the run has its final numbers."""
        return bool(self.metrics)

    @property
    def state(self) -> str:
        """How it ended, in words."""
        return self.status or ("ended" if self.ended else "has not ended")

    @property
    def command(self) -> str:
        """The command that makes the run."""
        return f"{program()} {shlex.join(self.overrides)}".rstrip()

    def of(self, task: str) -> tuple[str, Values] | None:
        """Return the split that a task's evidence is of, and the evidence; of the test, if any."""
        for split in ("test", "validation"):
            found = self.evidence.get(split, {}).get("tasks", {}).get(task)
            if found is not None:
                return split, found
        return None


def runs_of(folder: Path, command: str) -> list[Path]:
    """Return the run that a folder is, or the runs of a sweep in it.

    Args:
        folder: Of a run or a sweep.
        command: That asks, for messages.

    Raises:
        CheckpointError: If it holds none.
    """
    if (folder / HYDRA / "config.yaml").is_file():
        return [folder]
    found = sorted(file.parent.parent for file in folder.glob(f"**/{HYDRA}/config.yaml"))
    if not found:
        expected = "the folder of a run or of a sweep"
        got = "holds none" if folder.is_dir() else "is not there"
        near = meant_folder(folder).strip() if not folder.is_dir() else ""
        found_none = f"'{folder}' {got}"
        raise CheckpointError(Problem(command, f"to be given {expected}", found_none, near))
    return found


def read_run(folder: Path) -> RunFiles:
    """Return what a run's folder holds."""
    import yaml

    missing: list[str] = []

    def plain(path: Path, load: Any = json.loads) -> Any:
        try:
            return load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, yaml.YAMLError) as error:
            missing.append(f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}")
            return None

    def mapping(value: Any) -> Values:
        return value if isinstance(value, Mapping) else {}

    config = mapping(plain(folder / HYDRA / "config.yaml", yaml.safe_load))
    overrides = plain(folder / HYDRA / "overrides.yaml", yaml.safe_load)
    job = mapping(next(map(plain, sorted((folder / HYDRA).glob("job-*.json"))), None))
    splits = {"test": TEST, "validation": VALIDATION}
    found = {name: mapping(plain(folder / FOLDER / file)) for name, file in splits.items()}
    return RunFiles(
        folder=folder,
        name=folder.name,
        overrides=[str(one) for one in overrides] if isinstance(overrides, list) else [],
        config=config,
        metrics=mapping(plain(folder / METRICS)),
        curves=read_curves(folder),
        facts=mapping(plain(folder / FOLDER / RUN)),
        evidence={name: one for name, one in found.items() if one},
        status=_status(job),
        missing=missing,
        tuning=mapping(plain(folder / FOLDER / TUNING)),
    )


def _status(job: Values) -> str:
    """Return how a job ended, with its reason; nothing where it may be going on."""
    status, message = str(job.get("status", "")), str(job.get("message", ""))
    if status in ("", "done", "killed"):
        return ""
    return f"{status}: {message.partition(chr(10))[0]}" if message else status


def name_apart(runs: Sequence[RunFiles]) -> None:
    """Give runs names that tell them apart, and say what each varied."""
    if len({run.name for run in runs}) < len(runs):
        for run in runs:
            run.name = f"{run.folder.parent.name}/{run.folder.name}"
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    for run in runs:
        own = (one for one in run.overrides if not one.startswith("search."))
        run.varied = " ".join(one for one in own if one not in shared)
