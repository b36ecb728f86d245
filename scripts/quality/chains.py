"""What a CRF and constrained decoding are worth beside plain decoding.

MTL_DATA=FOLDER python scripts/quality/chains.py --trunk MODEL --seeds 3 --jobs 2

Entities of CoNLL-2003. Plain and constrained runs of one seed end with the same weights. Each run's
scores are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all, scores_of, table  # noqa: E402

CHOICES = ("plain", "constrained", "crf")
METRICS = [f"test/ner/{name}" for name in ("f1", "precision", "recall", "accuracy")]


def runs(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study."""
    line = ["experiment=conll2003_sst2", "task=ner", f"trunk.path={options.trunk}", "logger=csv"]
    line.append(f"trainer.max_epochs={options.epochs}")
    for seed in range(1, options.seeds + 1):
        for choice in CHOICES:
            own = [f"tasks.ner.head.decoding={choice}", f"seed={seed}"]
            yield f"{choice}.{seed}", [*line, *own, *options.set]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "chains", ["conll2003"])
    parser.add_argument("--epochs", type=int, default=1)
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options))
    carry_out_all(todo, options.out, options.jobs)
    print(table(scores_of(todo, options.out), METRICS))


if __name__ == "__main__":
    main()
