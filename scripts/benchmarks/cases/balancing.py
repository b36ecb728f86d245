"""What a balancing costs: a step of four tasks with each method, against the sum.

Each task reads texts of its own of the bundled corpus: none shares an encoding; but for `shared`,
where all read the same ones, on the whole trunk. All runs begin with the same weights and have the
same examples in every step.
"""

from __future__ import annotations

from collections.abc import Callable

from mtl.training.balancing import BALANCINGS
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import ROOT, Case, Check, Prepared, Ratio, Settings

TASKS = ("ner", "sentiment", "summarization", "qa")
CORPUS = ROOT / "mtl" / "data" / "bundled" / "newsroom" / "train.jsonl"
METHODS = tuple(name for name in BALANCINGS if name != "sum")
FEW = ("uncertainty", "famo", "equal_norms", "gradnorm", "upgrad", "cagrad")
"""Of the short form, and on a whole trunk."""
SHARED = "shared"
TARGET = 1.6
"""On adapters, in steps of the sum."""


def prepare(settings: Settings) -> Prepared:
    """Build a run for each method and tuning."""
    documents = settings.pick(60, 24)
    lines = CORPUS.read_text(encoding="utf-8").splitlines(keepends=True)
    settings.cache.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, task in enumerate(TASKS):
        files[task] = settings.cache / f"balancing-{task}-{documents}.jsonl"
        own = lines[number * documents : (number + 1) * documents]
        files[task].write_text("".join(own), encoding="utf-8")

    def run_of(method: str, tuning: str) -> Training:
        own = dict.fromkeys(TASKS, files[TASKS[0]]) if tuning == SHARED else files
        line = [
            f"task=[{','.join(TASKS)}]",
            "trunk=tiny",
            "trunk.dropout=0",
            f"tuning={'full' if tuning == SHARED else tuning}",
            f"balancing={method}",
            "batching.examples=32",
            *(f"tasks.{task}.data.train={file}" for task, file in own.items()),
            "trainer.limit_val_examples=8",
            "logger=none",
            "seed=1",
        ]
        return Training(line, settings.threads)

    methods: dict[str, tuple[str, ...]] = {"lora": FEW if settings.short else METHODS}
    methods |= {} if settings.short else {"full": FEW, SHARED: ("equal_norms",)}
    chosen = [(m, tuning) for tuning, own in methods.items() for m in ("sum", *own)]
    runs = {f"{m}, {tuning}": run_of(m, tuning) for m, tuning in chosen}
    steps = settings.pick(10, 4)

    def side(run: Training) -> Callable[[], float]:
        def seconds() -> float:
            timing = run.round(steps)
            return timing.seconds / timing.steps

        return seconds

    ratios = [
        Ratio(
            f"a step with {m}, {t}",
            f"{m}, {t}",
            f"sum, {t}",
            TARGET if t == "lora" else None,
            False,
        )
        for m, t in chosen
        if m != "sum"
    ]
    sums = {name: runs[f"sum, {name}"].loss() for name in methods}
    checks = [
        Check(f"the first loss, {name}", run.loss(), sums[name.split(", ")[1]], 1e-4)
        for name, run in runs.items()
    ]
    return Prepared("seconds a step", {n: side(r) for n, r in runs.items()}, ratios, checks)


CASE = Case("balancing", "What each balancing costs in time, four tasks", prepare)
