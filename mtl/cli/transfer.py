"""Which task helps which: tasks trained alone, in pairs and all together, paired by seed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl.cli.outcomes import Outcome, read_outcomes
from mtl.errors import ConfigError, Problem
from mtl.metrics.gains import gain
from mtl.metrics.intervals import mean_and_margin
from mtl.reporting.report.files import SWEEP
from mtl.reporting.transfer import Cell, Table

_TASK = re.compile(r"^[+]*task=\[?([^\]]*)\]?$")
_SEED = re.compile(r"^[+]*seed=")
_OF_TASK = re.compile(r"^[+~]*tasks\.([^.=]+)\.")
SEEDS = "seed=1,2,3"
LOG = "transfer.log"
"""What the jobs print."""


@dataclass(frozen=True)
class Plan:
    """What is trained: sets of tasks, each a sweep over seeds.

    Args:
        tasks: All of them.
        seeds: The override that varies the seed.
        rest: Further overrides.
    """

    tasks: tuple[str, ...]
    seeds: str
    rest: tuple[str, ...]

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """Each task alone, each pair, and all."""
        sizes = sorted({1, 2, len(self.tasks)})
        return [one for size in sizes for one in itertools.combinations(self.tasks, size)]

    def arguments(self, chosen: Sequence[str], folder: Path) -> list[str]:
        """Return the command line of the sweep of one set; other tasks' keys are left out."""
        found = [(text, _OF_TASK.match(text)) for text in self.rest]
        own = [text for text, match in found if match is None or match[1] in chosen]
        tasks = f"task=[{','.join(chosen)}]"
        return ["-m", tasks, self.seeds, *own, f"hydra.sweep.dir={place(folder, chosen)}"]


def place(folder: Path, chosen: Sequence[str]) -> Path:
    """Return the folder of the sweep of one set of tasks."""
    return folder / "+".join(chosen)


def read_plan(overrides: Sequence[str]) -> Plan:
    """Return what a command line asks for.

    Raises:
        ConfigError: If it does not name two tasks or more, or names a folder of its own.
    """
    named = [match[1] for text in overrides if (match := _TASK.match(text))]
    tasks = tuple(name.strip() for name in (named[-1] if named else "").split(",") if name.strip())
    if len(set(tasks)) < 2:
        found = f"got {', '.join(tasks)}" if tasks else "got none"
        expected = "to name two tasks or more, such as task=ner,sentiment"
        raise ConfigError(Problem("task", expected, found))
    for text in overrides:
        if text.startswith(("hydra.sweep.dir=", "hydra.run.dir=")):
            key = text.partition("=")[0]
            raise ConfigError(Problem(key, "to be unset", "got it", "Name the folder by --output."))
    seeds = [text for text in overrides if _SEED.match(text)]
    rest = [text for text in overrides if not _TASK.match(text) and not _SEED.match(text)]
    return Plan(tasks, seeds[-1] if seeds else SEEDS, tuple(rest))


def has_ended(folder: Path, chosen: Sequence[str]) -> bool:
    """Whether the sweep of a set of tasks has ended well before."""
    if not (place(folder, chosen) / SWEEP).is_file():
        return False
    return all(o.status == "done" for o in read_outcomes(place(folder, chosen)))


@contextlib.contextmanager
def quietly(log: Path) -> Iterator[None]:
    """Let what this process and those that it starts print go to the end of a file.

    Raises:
        ConfigError: If the file cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("a", encoding="utf-8")
    except OSError as error:
        expected, found = "to be a folder that can be written", f"got '{log.parent}' ({error})"
        raise ConfigError(Problem("--output", expected, found, "Name another.")) from error
    with file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        kept = {number: os.dup(number) for number in (1, 2)}
        for number in kept:
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            for number, before in kept.items():
                os.dup2(before, number)
                os.close(before)


def ended(folder: Path, chosen: Sequence[str]) -> Iterator[str]:
    """Yield how the jobs of a set ended: a line for all that are done, one for each other."""
    outcomes = read_outcomes(place(folder, chosen))
    done = [one for one in outcomes if one.status == "done"]
    if done:
        scores = [one.score for one in done if one.score is not None]
        mean = f", {done[0].monitor} {sum(scores) / len(scores):.4f} on average" if scores else ""
        seconds = sum(one.seconds for one in done)
        yield f"{len(done)} of {len(outcomes)} jobs done in {seconds:,.0f} s{mean}."
    for one in outcomes:
        if one.status != "done":
            seed = next((text for text in one.overrides if _SEED.match(text)), f"job {one.job}")
            why = f": {one.message}" if one.message else ""
            yield f"{seed} {one.status}{why}"


def compare(plan: Plan, folder: Path) -> Table:
    """Return the table of what was trained."""
    jobs = {chosen: _by_seed(read_outcomes(place(folder, chosen))) for chosen in plan.sets}
    alone: dict[str, float] = {}
    cells: list[Cell] = []
    missing: list[str] = []
    for task in plan.tasks:
        single = jobs[(task,)]
        metric = _metric(task, [*single.values()])
        if metric is None:
            missing.append(f"{task} has no score alone")
            continue
        higher = not any(f"val/{task}/{o.primary[task]}" in o.lower for o in single.values())
        alone[metric] = mean_and_margin([o.metrics[metric] for o in single.values()])[0]
        for chosen in plan.sets:
            if len(chosen) == 1 or task not in chosen:
                continue
            others = tuple(name for name in chosen if name != task)
            found = {
                s: gain(beside[metric], one.metrics[metric], higher_is_better=higher)
                for s, one in single.items()
                if metric in (beside := _of(jobs[chosen], s))
            }
            if found:
                cells.append(Cell(task, others, metric, found, higher))
            if len(found) < len(single):
                lost = len(single) - len(found)
                missing.append(f"{task} with {' and '.join(others)} lacks {lost} of its seeds")
    return Table(alone, cells, missing)


def _of(jobs: Mapping[str, Outcome], seed: str) -> Mapping[str, float]:
    return jobs[seed].metrics if seed in jobs else {}


def _by_seed(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    return {
        next((text.partition("=")[2] for text in o.overrides if _SEED.match(text)), ""): o
        for o in outcomes
        if o.status == "done" and o.primary
    }


def _metric(task: str, single: Sequence[Outcome]) -> str | None:
    """Return the primary metric of the test where all have one, else of validation."""
    for stage in ("test", "val"):
        names = {f"{stage}/{task}/{o.primary.get(task)}" for o in single}
        if len(names) == 1 and all(name in o.metrics for o in single for name in names):
            return names.pop()
    return None
