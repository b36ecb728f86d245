"""Metrics as a table: ``metrics.csv``, a row for each step, a column for each metric.

    step,train/loss,epoch,val/ner/f1,val/score
    10,0.69,0.5,,
    20,0.41,1.0,0.73,0.73

``pandas.read_csv("metrics.csv", index_col="step")["val/ner/f1"].dropna()`` is a curve.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from mtl.files import open_whole
from mtl.reporting.loggers.base import LOGGERS, RunFacts, RunLogger

FILE = "metrics.csv"
STEP = "step"


@LOGGERS.register("csv")
class CsvLogger(RunLogger):
    """Appends to ``metrics.csv``; what is logged is on the disk at once.

    A resumed run continues the file: rows after the first step that it logs are those of the
    stopped run, which it is about to repeat, and are dropped.
    """

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        self.path = facts.folder / FILE
        self._columns = [STEP]
        self._row: dict[str, str] = {}
        self._start = 0
        """Where the last row begins, in bytes."""
        self._open = False

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a row, or to the last row if it is the same step's."""
        if not self._open:
            self._continue(step)
        if self._row.get(STEP) != str(step):
            self._start = self.path.stat().st_size if self.path.exists() else 0
            self._row = {STEP: str(step)}
        self._row.update({name: repr(value) for name, value in metrics.items()})
        new = [name for name in metrics if name not in self._columns]
        if new or self._start == 0:
            self._columns += new
            self._rewrite([*self._before(), self._row])
        else:
            with self.path.open("r+", encoding="utf-8", newline="") as file:
                file.seek(self._start)
                self._writer(file).writerow(self._row)
                file.truncate()

    def _continue(self, step: int) -> None:
        """Take over the file of a stopped run, up to and including a step."""
        self._open = True
        if not self.path.exists():
            return
        rows = [row for row in read_rows(self.path) if int(row[STEP]) <= step]
        if rows:
            self._columns = list(rows[-1])
            self._row = {name: value for name, value in rows[-1].items() if value}
            self._rewrite(rows)
        else:
            self.path.unlink()

    def _before(self) -> list[dict[str, str]]:
        if self._start == 0:
            return []
        return [row for row in read_rows(self.path) if row[STEP] != self._row[STEP]]

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        with open_whole(self.path) as file:
            writer = self._writer(file)
            writer.writeheader()
            for row in rows:
                self._start = file.tell()
                writer.writerow(row)

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, lineterminator="\n")

    def finish(self, *, failed: bool) -> None:
        """Do nothing: no file is open."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics file; a last line that a kill cut short is left out."""
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
