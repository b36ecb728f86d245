"""What a run logs, kept in its own folder whatever loggers it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mtl.reporting.console import note
from mtl.reporting.loggers.base import RunFacts
from mtl.reporting.loggers.csv_file import STEP, CsvLogger, read_rows
from mtl.reporting.report.files import CURVES, FOLDER

Curve = list[tuple[int, float]]
"""Steps and values."""


class Curves(CsvLogger):
    """Keeps metrics for the report; a folder that cannot be written ends no run."""

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        self.path = facts.folder / FOLDER / CURVES
        self._failed = False

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a row, or to the last row if it is the same step's."""
        if self._failed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            super().write(metrics, step)
        except OSError as error:
            self._failed = True
            note(f"{self.path}: the report will have no curves: {error.strerror}.")


def read_curves(run_dir: Path) -> dict[str, Curve]:
    """Return each metric's curve; none where there is no file, or a damaged one."""
    found: dict[str, Curve] = {}
    try:
        rows = read_rows(run_dir / FOLDER / CURVES)
        for row in rows:
            step = int(row[STEP])
            for name, value in row.items():
                if name != STEP and value:
                    found.setdefault(name, []).append((step, float(value)))
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found
