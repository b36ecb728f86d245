"""A finding, and the checks that yield them, which are found by registration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

from mtl.config.section import Values
from mtl.inspection.corpus import Corpus, Sample
from mtl.registry import Registry

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that a check found."""

    level: Level
    check: str
    where: str
    """The task and split."""
    text: str
    """A sentence, without the place."""
    count: int
    """How many rows, labels or texts it is about."""
    rows: list[Sample] = field(default_factory=list)
    """The first few of them, to look at."""

    def __str__(self) -> str:
        at = f" ({', '.join(row.place for row in self.rows)})" if self.rows else ""
        return f"{self.where}: {self.text}{at}"

    def as_dict(self) -> Values:
        """Return plain JSON values."""
        return asdict(self)


Check = Callable[[Corpus], Iterator[Finding]]
CHECKS: Registry[Check] = Registry("check", "mtl.checks")
"""Name to a function that yields what it finds in a corpus."""


def percent(part: float, whole: float) -> str:
    """Return a share as findings show it."""
    return f"{100 * part / max(whole, 1):.1f}%"
