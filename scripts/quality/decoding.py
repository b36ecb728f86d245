"""Score a run's tagging task with plain and with constrained decoding, from the same weights.

``python scripts/quality/decoding.py RUN [--task ner] [--split test]`` prints entity F1 overall and
per type, in percent.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mtl.data.rows import Rows
from mtl.inference.evaluator import run_config, score
from mtl.inference.predictor import RowPredictor
from mtl.training.setup import read_splits

DECODINGS = ("plain", "constrained")


def main() -> None:
    """Read the arguments, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="ner")
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    predictor = RowPredictor(given.run)
    task: Any = predictor.tasks[given.task]
    rows = read(given.run, given.task, given.split, task)
    for decoding in DECODINGS:
        task.head_options.decoding = decoding
        found = score(predictor, {given.task: rows})[given.task].tables["entities"]
        shown = "  ".join(f"{row.type} {100 * row.f1:.2f}" for row in found)
        print(f"{decoding:12}{shown}")


def read(run: Path, name: str, split: str, task: Any) -> Rows:
    """Return the rows of a run's split."""
    rows = getattr(read_splits(run_config(run), [task], only=(split,))[name], split)
    assert isinstance(rows, Rows), f"{run} has no {split} split"
    return rows


if __name__ == "__main__":
    main()
