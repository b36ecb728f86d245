"""Runs cases: checks that two sides compute the same, times them in turns, reports ratios.

A case is a module in ``cases/`` with a ``CASE``. Its ``prepare`` builds everything that is not
timed and returns the sides; a side is a function that does one round of work and returns a rate
(work a second) or a cost (seconds, bytes). Rounds go side by side: a, b, a, b, ..., so that what
else the machine does falls on all of them. A ratio is taken within each round, and its median over
rounds is reported with the lowest and highest.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtl.reporting.console import console
from scripts.benchmarks.progress import Progress
from scripts.benchmarks.report import table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ("torch", "transformers", "lightning")


@dataclass(frozen=True)
class Settings:
    """How cases are run."""

    rounds: int = 5
    short: bool = False
    threads: int = 2
    data: Path | None = None
    """Folder of the corpora, ``MTL_DATA``."""
    cache: Path = ROOT / "bench-results" / "cache"

    def pick(self, long: int, short: int) -> int:
        """Return a size by whether the run is a short one."""
        return short if self.short else long


@dataclass(frozen=True)
class Check:
    """Two numbers that have to agree before anything is timed."""

    label: str
    ours: float
    theirs: float
    tolerance: float
    """Largest difference, as a share of `theirs`."""

    @property
    def passed(self) -> bool:
        """Whether they agree."""
        return abs(self.ours - self.theirs) <= self.tolerance * max(abs(self.theirs), 1e-12)


@dataclass(frozen=True)
class Ratio:
    """One side's figure divided by another's, and what it should be."""

    label: str
    ours: str
    theirs: str
    target: float | None = None
    at_least: bool = True
    """Whether the target is a lower limit; otherwise an upper one."""

    def met(self, value: float) -> bool | None:
        """Return whether a value reaches the target; None if there is none."""
        if self.target is None:
            return None
        return value >= self.target if self.at_least else value <= self.target


@dataclass
class Prepared:
    """A case that is ready to be timed."""

    unit: str
    """Of what sides return: ``tokens/s``, ``seconds``, ``bytes``."""
    sides: dict[str, Callable[[], float]]
    ratios: list[Ratio]
    checks: list[Check] = field(default_factory=list)
    warm_up: bool = True
    """Whether each side runs once before rounds count."""
    most_rounds: int | None = None
    """Rounds that are enough, however many were asked for."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Figures to keep beside the result, and to print."""


@dataclass(frozen=True)
class Case:
    """Something to measure."""

    name: str
    title: str
    prepare: Callable[[Settings], Prepared]
    needs_data: tuple[str, ...] = ()
    """Folders under ``MTL_DATA`` that it reads."""
    needs_python: str | None = None
    """The variable that names the Python of another environment."""


def names() -> list[str]:
    """Return the names of all cases, in their order."""
    return sorted(p.stem for p in (HERE / "cases").glob("*.py"))


def load(name: str) -> Case:
    """Return a case by its file's name."""
    found = importlib.import_module(f"scripts.benchmarks.cases.{name}").CASE
    assert isinstance(found, Case)
    return found


def missing(case: Case, settings: Settings) -> str | None:
    """Return why a case cannot run; None if it can."""
    for folder in case.needs_data:
        if settings.data is None:
            return "skipped: MTL_DATA is unset"
        if not (settings.data / folder).is_dir():
            return f"skipped: no {folder}/ in {settings.data}"
    if case.needs_python is not None and not os.environ.get(case.needs_python):
        return f"skipped: {case.needs_python} is unset; scripts/benchmarks/README.md has a recipe"
    return None


class Disagreement(Exception):
    """Two sides do not compute the same, so that their speeds say nothing."""


Turn = Callable[[int, int], None]
"""Told before every turn of a side: how many are done, and of how many."""


def measure(
    case: Case, settings: Settings, turn: Turn = lambda done, total: None
) -> dict[str, Any]:
    """Check and time a case; returns its record, plain data.

    Raises:
        Disagreement: If a check fails.
    """
    ready = case.prepare(settings)
    for check in ready.checks:
        if not check.passed:
            raise Disagreement(
                f"{case.name}: expected {check.label} of both sides to agree within "
                f"{check.tolerance:g}, but got {check.ours:.8g} and {check.theirs:.8g}."
            )
    rounds = min(settings.rounds, ready.most_rounds or settings.rounds)
    values = time_in_turns(ready, rounds, turn)
    return {
        "name": case.name,
        "title": case.title,
        "unit": ready.unit,
        "rounds": values,
        "medians": {side: statistics.median(found) for side, found in values.items()},
        "ratios": [summary(ratio, values) for ratio in ready.ratios],
        "checks": [asdict(check) for check in ready.checks],
        "notes": ready.notes,
        "settings": {"short": settings.short, "threads": settings.threads},
        "machine": machine(),
    }


def time_in_turns(ready: Prepared, rounds: int, turn: Turn) -> dict[str, list[float]]:
    """Return each side's figures, a round each."""
    values: dict[str, list[float]] = {side: [] for side in ready.sides}
    total, done = len(ready.sides) * (rounds + ready.warm_up), 0
    for number in range(-int(ready.warm_up), rounds):
        for side, work in ready.sides.items():
            turn(done, total)
            found = work()
            done += 1
            if number >= 0:
                values[side].append(found)
    return values


def summary(ratio: Ratio, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return a ratio's median over rounds, its spread, and whether its target is met."""
    found = [a / b for a, b in zip(values[ratio.ours], values[ratio.theirs], strict=True)]
    middle = statistics.median(found)
    return {
        "label": ratio.label,
        "median": middle,
        "lowest": min(found),
        "highest": max(found),
        "target": ratio.target,
        "at_least": ratio.at_least,
        "met": ratio.met(middle),
    }


def own_process(function: Callable[..., float], *arguments: object) -> float:
    """Return what a function returns in a new process, from a fresh start of its module.

    Args:
        function: One of a module's own, found there by its name.
        arguments: Written with :func:`repr`, and read again.
    """
    module, name = function.__module__, function.__name__
    code = f"from {module} import {name}; print(); print({name}(*{arguments!r}))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(found.stdout.splitlines()[-1])


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def write(record: Mapping[str, Any], out: Path) -> Path:
    """Write a record as JSON, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{record['name']}.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def read(out: Path) -> list[dict[str, Any]]:
    """Return the records of a folder, in the order of the cases."""
    paths = [out / f"{name}.json" for name in names()]
    return [json.loads(p.read_text("utf-8")) for p in paths if p.exists()]


def run(chosen: Sequence[str], settings: Settings, out: Path) -> int:
    """Run cases one after another; returns the exit code."""
    records, code = [], 0
    progress = Progress(len(chosen), console())
    for name in chosen:
        case = load(name)
        if why := missing(case, settings):
            progress.skip(f"{name}: {why}")
            continue
        try:
            with progress.case(name, case.title) as turn:
                record = measure(case, settings, turn)
        except Disagreement as error:
            print(error, file=sys.stderr)
            code = 1
            continue
        write(record, out)
        records.append(record)
        for key, value in record["notes"].items():
            console().print(f"{name}: {key}: {value}", soft_wrap=True)
    console().print(table(records))
    return code
