"""What each way of balancing gives tasks, beside weights that were searched.

MTL_DATA=FOLDER python scripts/quality/balancing.py --trunk MODEL --seeds 3 --jobs 2
MTL_DATA=FOLDER python scripts/quality/balancing.py --experiment four_corpora --seeds 3 --jobs 2 \
  --weights "" ner=5 ner=5,qa=0.3 --methods equal_norms

Tasks of an experiment, joint and alone, each from its first rows: test scores, and how far the task
that is worst off is below the best weights that the search found. Each run's scores are kept in a
JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.metrics.gains import gain  # noqa: E402
from scripts.quality.study import Options, carry_out_all, scores_of, table  # noqa: E402

WEIGHTS = ("", "ner=2", "ner=5", "ner=10")
"""Of tasks, those of others being 1. They are the search."""
METHODS = ("equal_norms", "uncertainty", "dwa", "famo", "gradnorm", "imtl_l", "imtl_g", "upgrad")
METRICS = {
    "ner": ("f1", True),
    "sentiment": ("accuracy", True),
    "qa": ("f1", True),
    "summarization": ("perplexity", False),
}
"""Of each task, and whether it is best when high."""
EXPERIMENTS = {
    "conll2003_sst2": {"ner": 5000, "sentiment": 2500},
    "four_corpora": {"ner": 3000, "sentiment": 1500, "qa": 1000, "summarization": 600},
}
"""Rows of training for each task."""
FEWER = {"qa": 500, "summarization": 100}
"""Rows of validation and test, where all would take longer than training."""

Found = Mapping[str, Sequence[Mapping[str, float]]]
"""Scores of each seed, by choice."""


def runs(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study, a seed after the other."""
    rows = {name: EXPERIMENTS[options.experiment][name] for name in options.tasks}
    line = [f"experiment={options.experiment}", "logger=csv", "trainer.max_epochs=1"]
    line += [f"trunk.path={options.trunk}"] if options.trunk else []
    line.append("trainer.val_check_interval=100000")
    cut = {name: own_rows(name, count) for name, count in rows.items()}
    together = [f"task=[{','.join(rows)}]", *(text for each in cut.values() for text in each)]
    for seed in range(1, options.seeds + 1):
        common = [*line, f"seed={seed}", *options.set]
        for weights in options.weights:
            own = [f"tasks.{text.replace('=', '.weight=')}" for text in weights.split(",") if text]
            name = weights.replace("=", "-").replace(",", "+") or "equal"
            yield f"weights-{name}.{seed}", [*common, *together, "balancing=sum", *own]
        for name in options.methods:
            yield f"{name}.{seed}", [*common, *together, f"balancing={name}"]
        for task in rows if options.alone else ():
            yield f"alone-{task}.{seed}", [*common, f"task=[{task}]", *cut[task]]


def own_rows(task: str, count: int) -> list[str]:
    """Return the settings that cut a task's rows."""
    found = [f"tasks.{task}.data.max_train_examples={count}"]
    if task in FEWER:
        found.append(f"tasks.{task}.data.max_examples={FEWER[task]}")
    if task == "summarization":
        found.append("tasks.summarization.metric=perplexity")
    return found


def behind(found: Found, tasks: Sequence[str]) -> str:
    """Return a Markdown table: how far each choice is from the best weights, a column a task.

    In points, or percent of a metric that is best when low. Best are the weights with the highest
    mean of the gains over the first ones.
    """
    means = {
        choice: {
            task: mean(one[f"test/{task}/{METRICS[task][0]}"] for one in each) for task in tasks
        }
        for choice, each in found.items()
        if not choice.startswith("alone")
    }
    searched = [name for name in means if name.startswith("weights-")]
    best = max(searched, key=lambda name: mean(gains(means[name], means[searched[0]], tasks)))
    head = "".join(f" {task} |" for task in tasks)
    lines = [f"| choice |{head} worst | mean |", "|---|" + "---:|" * (len(tasks) + 2)]
    for choice, scores in means.items():
        away = gains(scores, means[best], tasks)
        cells = " | ".join(f"{value:+.2f}" for value in (*away, min(away), mean(away)))
        lines.append(f"| {choice} | {cells} |")
    return "\n".join(lines)


def gains(
    scores: Mapping[str, float], others: Mapping[str, float], tasks: Sequence[str]
) -> list[float]:
    """Return by how much each task's score is better than another one."""
    return [gain(scores[t], others[t], higher_is_better=METRICS[t][1]) for t in tasks]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "balancing", ["conll2003", "sst2"], trunk="that of the experiment")
    parser.add_argument("--experiment", choices=EXPERIMENTS, default="conll2003_sst2")
    parser.add_argument("--tasks", nargs="*", metavar="TASK", help="some of the experiment's")
    weights = "of tasks, such as ner=5,qa=0.3; the first are what others are compared with"
    parser.add_argument("--weights", nargs="*", default=WEIGHTS, help=weights)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--alone", action=argparse.BooleanOptionalAction, default=True)
    options = parser.read(given)
    options.tasks = options.tasks or list(EXPERIMENTS[options.experiment])
    return options


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options))
    carry_out_all(todo, options.out, options.jobs)
    found = scores_of(todo, options.out)
    for task in options.tasks:
        own = {k: v for k, v in found.items() if not k.startswith("alone") or k.endswith(task)}
        metric, high = METRICS[task]
        print(table(own, [f"test/{task}/{metric}"], scale=100 if high else 1), end="\n\n")
    print(behind(found, options.tasks))


if __name__ == "__main__":
    main()
