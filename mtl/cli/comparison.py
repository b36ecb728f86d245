"""What jobs of a sweep say together: means over seeds and folds, joint against single training."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtl.cli.outcomes import Outcome
from mtl.metrics.intervals import mean_and_margin

_REPEATS = re.compile(r"^[+]*(seed|tasks\.[^.]+\.data\.fold)=")
"""Overrides that repeat an experiment."""
_TASKS = re.compile(r"^[+]*task=")
_WEIGHT = re.compile(r"^[+]*tasks\.[^.]+\.weight=")

Pair = tuple[Outcome, Outcome]
"""A job that trained a task with others, and one that trained it alone."""


def mean_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for jobs that differ in their fold or seed alone: the mean of their scores.

    The interval is Student's at 95%, as if scores were independent, which folds are nearly.
    """
    groups: dict[tuple[str, ...], list[float]] = {}
    for outcome in outcomes:
        rest = tuple(text for text in outcome.overrides if not _REPEATS.search(text))
        if outcome.score is not None and len(rest) < len(outcome.overrides):
            groups.setdefault(rest, []).append(outcome.score)
    shared = set.intersection(*map(set, groups)) if len(groups) > 1 else {*next(iter(groups), ())}
    lines = []
    for rest, scores in groups.items():
        if len(scores) > 1:
            varied = " ".join(text for text in rest if text not in shared)
            lead = f"{varied}: " if varied else ""
            lines.append(f"{lead}mean of {len(scores)} jobs {_interval(scores)}")
    return lines


def weight_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line where jobs are ranked by a mean that weighs tasks by what the jobs vary."""
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    varied = {tuple(filter(_WEIGHT.match, outcome.overrides)) for outcome in done}
    if len(varied) < 2 or any(outcome.monitor != "val/score" for outcome in done):
        return []
    names = [f"val/{task}/{metric}" for task, metric in done[0].primary.items()]
    return [
        "val/score weighs tasks by the weights that these jobs vary, so it does not rank them: "
        f"look at each task's metric, or search with search.objectives=[{','.join(names)}]"
    ]


def joint_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each task that jobs trained alone and with others, all else being equal.

    It is the mean of the differences between two jobs of one seed, with Student's interval at 95%.
    Test scores are compared where all have them, else those of validation.
    """
    done = [outcome for outcome in outcomes if outcome.status == "done" and outcome.primary]
    groups: dict[tuple[str, ...], dict[tuple[str, ...], Outcome]] = {}
    for outcome in done:
        groups.setdefault(tuple(outcome.primary), {})[_without_tasks(outcome)] = outcome
    lines = []
    for joint, jobs in groups.items():
        for task in joint if len(joint) > 1 else ():
            alone = groups.get((task,), {})
            pairs = [(jobs[rest], alone[rest]) for rest in jobs if rest in alone]
            if (name := _metric(task, pairs)) is not None:
                lines.append(_compared(name, task, joint, pairs))
    return lines


def _without_tasks(outcome: Outcome) -> tuple[str, ...]:
    return tuple(text for text in outcome.overrides if not _TASKS.search(text))


def _metric(task: str, pairs: Sequence[Pair]) -> str | None:
    """Return the metric that all jobs have, of the test if possible; None if there is none."""
    for one, _ in pairs[:1]:
        for stage in ("test", "val"):
            name = f"{stage}/{task}/{one.primary[task]}"
            if all(name in outcome.metrics for pair in pairs for outcome in pair):
                return name
    return None


def _compared(name: str, task: str, joint: Sequence[str], pairs: Sequence[Pair]) -> str:
    more = [a.metrics[name] - b.metrics[name] for a, b in pairs]
    others = " and ".join(other for other in joint if other != task)
    count = "1 pair" if len(more) == 1 else f"{len(more)} pairs"
    return f"{name} with {others} against alone: {_interval(more, signed=True)}, {count}"


def _interval(values: Sequence[float], *, signed: bool = False) -> str:
    """Return a mean with its 95% interval; of a single value the value."""
    mean, margin = mean_and_margin(values)
    text = f"{mean:{'+' if signed else ''}.4f}"
    return text if margin is None else f"{text} ± {margin:.4f} (95%)"
