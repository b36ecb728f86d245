"""Four tasks annotated on the same documents: one joint epoch against the four epochs it replaces.

Both have the same examples, 32 in every step: a joint step holds them from all tasks, and so fewer
documents, each encoded once. The number of steps is the same, too, up to each epoch's last.
"""

from __future__ import annotations

from collections.abc import Callable

from scripts.benchmarks.ours import SKIPPED, Training
from scripts.benchmarks.runner import ROOT, Case, Check, Prepared, Ratio, Settings

TASKS = ("ner", "sentiment", "summarization", "qa")
EXAMPLES = 32
"""Of a step, in every run."""
CORPUS = ROOT / "mtl" / "data" / "bundled" / "newsroom" / "train.jsonl"


def prepare(settings: Settings) -> Prepared:
    """Build five runs over the first documents of the bundled corpus."""
    documents = settings.pick(120, 32)
    lines = CORPUS.read_text(encoding="utf-8").splitlines(keepends=True)[:documents]
    train = settings.cache / f"newsroom-{documents}.jsonl"
    train.parent.mkdir(parents=True, exist_ok=True)
    train.write_text("".join(lines), encoding="utf-8")
    files = {"train": train, "validation": CORPUS.with_name("validation.jsonl")}

    def run_of(*tasks: str) -> Training:
        line = [
            f"task=[{','.join(tasks)}]",
            "trunk=tiny",
            "balancing=sum",
            f"batching.examples={EXAMPLES}",
            *(f"tasks.{t}.data.{split}={file}" for t in tasks for split, file in files.items()),
            "logger=csv",
            "seed=1",
        ]
        return Training(line, settings.threads)

    joint, single = run_of(*TASKS), [run_of(t) for t in TASKS]
    runs = [epoch(training) for training in single]
    return Prepared(
        unit="seconds an epoch",
        sides={"joint": epoch(joint), "one by one": lambda: sum(run() for run in runs)},
        ratios=[Ratio("seconds of an epoch", "joint", "one by one", 0.45, at_least=False)],
        checks=[
            Check("the documents", distinct(joint), documents, 0.0),
            *(Check("the documents", distinct(run), documents, 0.0) for run in single),
            Check("the examples", size(joint), sum(size(run) for run in single), 0.0),
        ],
        warm_up=False,  # Every epoch begins after steps that are not timed.
        most_rounds=1 if settings.short else None,
    )


def distinct(training: Training) -> int:
    """Return how many different documents a run trains on."""
    return len({int(key) for store in training.prepared.data.train for key in store.keys})


def size(training: Training) -> int:
    """Return the number of a run's training examples, each of which an epoch gives once."""
    return sum(len(store) for store in training.prepared.data.train)


def epoch(training: Training) -> Callable[[], float]:
    """Return what measures an epoch's seconds: as many steps, after the first few."""
    steps = training.prepared.data.planner.steps_per_epoch

    def seconds() -> float:
        timing = training.round(steps + SKIPPED)
        assert (timing.steps, timing.examples) == (steps, size(training))
        return timing.seconds

    return seconds


CASE = Case("joint", "four tasks on the same documents, an epoch", prepare)
