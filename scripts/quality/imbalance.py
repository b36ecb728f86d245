"""What weights of classes and focal loss are worth where one class is rare.

MTL_DATA=FOLDER python scripts/quality/imbalance.py --trunk MODEL --seeds 3 --jobs 2

SST-2 with 3,000 training rows, of which 2% are positive; validation and test stay as they are. All
choices of one seed see the same rows. Each run's scores are kept in a JSON file, so a stopped study
goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all, scores_of, table  # noqa: E402

CHOICES = {
    "plain": [],
    "balanced": ["tasks.sentiment.head.class_weighting=balanced"],
    "effective": ["tasks.sentiment.head.class_weighting=effective"],
    "focal": ["tasks.sentiment.head.loss=focal"],
    "focal-balanced": [
        "tasks.sentiment.head.loss=focal",
        "tasks.sentiment.head.class_weighting=balanced",
    ],
}
METRICS = [f"test/sentiment/{name}" for name in ("macro_f1", "mcc", "accuracy")]


def thinned(source: Path, target: Path, *, rows: int, rare: str, share: float, seed: int) -> Path:
    """Write some rows of a file of text and label, of which a share has the rare label."""
    found = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    random.Random(seed).shuffle(found)
    few = round(rows * share)
    with_it = [line for line in found if line.rpartition("\t")[2] == rare][:few]
    without = [line for line in found if line.rpartition("\t")[2] != rare][: rows - few]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join([*with_it, *without]) + "\n", encoding="utf-8")
    return target


def runs(options: argparse.Namespace, data: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study."""
    sst2, task = data / "sst2", "tasks.sentiment"
    for seed in range(1, options.seeds + 1):
        train = thinned(
            sst2 / "train.tsv",
            options.out / "rows" / f"train-{seed}.tsv",
            rows=options.rows,
            rare=options.rare,
            share=options.share,
            seed=seed,
        )
        files = {"train": train, "validation": sst2 / "dev.tsv", "test": sst2 / "test.tsv"}
        line = ["task=sentiment", "trunk=hf", f"trunk.path={options.trunk}", "trunk.lr=1e-4"]
        line += [f"{task}.data.{split}={path}" for split, path in files.items()]
        line += [f"{task}.data.header=false", f"{task}.columns={{text: 0, label: 1}}"]
        line += [f"{task}.metric=macro_f1", "batching.examples=32", "trainer.max_epochs=3"]
        for choice, own in CHOICES.items():
            yield f"{choice}.{seed}", [*line, *own, "logger=csv", f"seed={seed}", *options.set]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "imbalance", ["sst2"])
    parser.add_argument("--rows", type=int, default=3000, help="of training")
    parser.add_argument(
        "--share", type=float, default=0.02, help="of them that have the rare label"
    )
    parser.add_argument("--rare", default="1", help="the rare label, as the file spells it")
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options, Path(os.environ["MTL_DATA"])))
    carry_out_all(todo, options.out, options.jobs)
    print(table(scores_of(todo, options.out), METRICS))


if __name__ == "__main__":
    main()
