"""Memory that training takes above what stands before it, with each tuning.

That is the peak of the resident memory of a process of its own, less its peak before the first
step: gradients, the optimiser's state and activations.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

from scripts.benchmarks.cases.lora import WAYS, line
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings, own_process


def peak() -> float:
    """Return the highest resident memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def one(way: str, threads: int, steps: int) -> float:
    """Return the memory that some steps take, in MB."""
    run = Training(line(Settings(short=True), way), threads)
    before = peak()
    run.round(steps)
    return peak() - before


def prepare(settings: Settings) -> Prepared:
    """Return sides that start a process each."""
    steps = settings.pick(8, 4)

    def side(way: str) -> Callable[[], float]:
        return lambda: own_process(one, way, settings.threads, steps)

    return Prepared(
        unit="MB above what stands before the first step",
        sides={way: side(way) for way in WAYS},
        ratios=[Ratio(f"{way} against full", way, "full") for way in WAYS if way != "full"],
        warm_up=False,
    )


CASE = Case("lora_memory", "What each tuning costs in memory, MiniLM", prepare, ("conll2003",))
