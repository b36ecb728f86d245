"""What a CRF and constrained decoding are worth beside plain decoding.

MTL_DATA=FOLDER python scripts/quality/chains.py --trunk MODEL --seeds 3 --jobs 2

Entities of CoNLL-2003. Plain and constrained runs of one seed end with the same weights. Each run's
scores are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import carry_out_all, scores_of, table  # noqa: E402

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--trunk", required=True, help="a model's folder")
    add("--seeds", type=int, default=3)
    add("--epochs", type=int, default=1)
    add("--jobs", type=int, default=2, help="runs at a time, a thread each")
    add("--out", type=Path, default=ROOT / "outputs" / "chains")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of train.py")
    options = parser.parse_args(given)
    options.out = options.out.resolve()
    if "MTL_DATA" not in os.environ:
        parser.error("Expected MTL_DATA to name a folder with conll2003/ in it.")
    return options


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    todo = list(runs(options))
    carry_out_all(todo, options.out, options.jobs)
    print(table(scores_of(todo, options.out), METRICS))


if __name__ == "__main__":
    main()
