"""Four tasks annotated on the same documents: one joint epoch against four epochs."""

from __future__ import annotations

from collections.abc import Callable

from scripts.benchmarks.ours import SKIPPED, Training
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings

TASKS = ("ner", "sentiment", "summarization", "qa")
EXAMPLES = 32
"""Of a step, in every run: a joint step holds examples of all tasks."""


def prepare(settings: Settings) -> Prepared:
    """Build five runs over the bundled corpus; an epoch gives every example of a run once."""
    documents = settings.pick(360, 120)

    def run_of(*tasks: str) -> Training:
        line = [
            f"task=[{','.join(tasks)}]",
            "trunk=tiny",
            f"batching.examples={EXAMPLES}",
            *(f"tasks.{t}.data.max_train_examples={limit(t, documents)}" for t in tasks),
            "logger=csv",
            "seed=1",
        ]
        return Training(line, settings.threads)

    def epoch(training: Training) -> Callable[[], float]:
        steps = training.prepared.data.planner.steps_per_epoch
        # The clock leaves out the first steps; they count like the others here.
        return lambda: _whole(training, steps)

    joint, single = run_of(*TASKS), [run_of(t) for t in TASKS]
    alone = [epoch(training) for training in single]
    return Prepared(
        unit="seconds an epoch",
        sides={"joint": epoch(joint), "one by one": lambda: sum(work() for work in alone)},
        ratios=[Ratio("seconds of an epoch", "joint", "one by one", 0.45, at_least=False)],
    )


def limit(task: str, documents: int) -> int:
    """Return how many rows of a task some documents of the bundled corpus have."""
    return documents * 4 if task == "qa" else documents


def _whole(training: Training, steps: int) -> float:
    timing = training.round(steps)
    return timing.seconds * steps / (steps - SKIPPED)


CASE = Case("joint", "four tasks on the same documents, an epoch", prepare)
