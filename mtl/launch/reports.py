"""How each process of a run ended, written down for the parent, which shows one cause for all.

{"kind": "DataError", "problems": ["x.tsv:3: Expected a label."], "traceback": "", "when": 17.5}
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mtl.errors import Interrupted
from mtl.files import write_whole

JOB = "job.json"
"""What the run is: written by the parent; a process whose job is gone ends itself."""
DONE, CRASH = "done", "crash"


@dataclass(frozen=True)
class Report:
    """How one process ended."""

    kind: str
    """`DONE`, `CRASH`, or the name of a class of :mod:`mtl.errors`."""
    problems: Sequence[str] = ()
    traceback: str = ""
    when: float = field(default_factory=time.time)

    @property
    def is_users(self) -> bool:
        """Whether it is a user's mistake, which would come again."""
        return self.kind not in (DONE, CRASH, Interrupted.__name__)


def write_report(folder: Path, rank: int, report: Report) -> None:
    """Write down how a process ended."""
    write_whole(_file(folder, rank), json.dumps(asdict(report)))


def read_reports(folder: Path, count: int) -> dict[int, Report]:
    """Return the reports that are there; one for every process that was not killed."""
    ranks = [rank for rank in range(count) if _file(folder, rank).exists()]
    return {rank: Report(**json.loads(_file(folder, rank).read_text("utf-8"))) for rank in ranks}


def clear_reports(folder: Path, count: int) -> None:
    """Remove all reports, before the processes start again."""
    for rank in range(count):
        _file(folder, rank).unlink(missing_ok=True)


def log_file(folder: Path, rank: int) -> Path:
    """Return where a process writes that has no terminal."""
    return folder / f"rank-{rank}.log"


def _file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"
