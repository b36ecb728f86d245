"""What each way of balancing gives two tasks, beside weights that were searched.

MTL_DATA=FOLDER python scripts/quality/balancing.py --trunk MODEL --seeds 3 --jobs 2

The first sentences of CoNLL-2003 and of SST-2, joint and alone: test scores, and by how many points
the worse off of the two tasks is below the best weight that the search found for it. Each run's
scores are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all, scores_of, table  # noqa: E402

WEIGHTS = (1, 2, 5, 10)
"""Of the entities; the sentiment's is 1. They are the search."""
METHODS = ("equal_norms", "uncertainty", "dwa", "famo", "gradnorm", "imtl_l", "imtl_g", "upgrad")
TASKS = ("ner", "sentiment")
METRICS = {"ner": "test/ner/f1", "sentiment": "test/sentiment/accuracy"}


def runs(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study, a seed after the other."""
    line = ["experiment=conll2003_sst2", f"trunk.path={options.trunk}", "logger=csv"]
    line += ["trainer.max_epochs=1", "trainer.val_check_interval=100000"]
    sizes = {"ner": options.rows, "sentiment": options.rows // 2}
    cut = {name: f"tasks.{name}.data.max_train_examples={size}" for name, size in sizes.items()}
    for seed in range(1, options.seeds + 1):
        common = [*line, f"seed={seed}", *options.set]
        for weight in options.weights:
            own = [*cut.values(), f"tasks.ner.weight={weight}"]
            yield f"weight-{weight}.{seed}", [*common, *own]
        for name in options.methods:
            yield f"{name}.{seed}", [*common, *cut.values(), f"balancing={name}"]
        for task in TASKS:
            yield f"alone-{task}.{seed}", [*common, f"task={task}", cut[task]]


def behind(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Return a Markdown table: how far each choice is below the best weight, in points."""
    means = {
        choice: {task: 100 * mean(one[name] for one in each) for task, name in METRICS.items()}
        for choice, each in found.items()
        if not choice.startswith("alone")
    }
    searched = {name: scores for name, scores in means.items() if name.startswith("weight-")}
    best = max(searched.values(), key=lambda scores: sum(scores.values()))
    lines = ["| choice | entities | sentiment | worse of the two |", "|---|---:|---:|---:|"]
    for choice, scores in means.items():
        away = [scores[task] - best[task] for task in TASKS]
        cells = " | ".join(f"{value:+.2f}" for value in (*away, min(away)))
        lines.append(f"| {choice} | {cells} |")
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "balancing", ["conll2003", "sst2"])
    parser.add_argument("--weights", nargs="*", type=int, default=WEIGHTS, help="of the entities")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--rows", type=int, default=5000, help="of entities; of sentiment half")
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options))
    carry_out_all(todo, options.out, options.jobs)
    found = scores_of(todo, options.out)
    for task, metric in METRICS.items():
        own = {k: v for k, v in found.items() if not k.startswith("alone") or k.endswith(task)}
        print(table(own, [metric]), end="\n\n")
    print(behind(found))


if __name__ == "__main__":
    main()
