"""What it costs in quality that a paragraph's questions share one step.

MTL_DATA=FOLDER python scripts/quality/grouping.py --seeds 3 --jobs 2 --out outputs/grouping

Questions of one paragraph that share its encoding make a step cheap, and give it fewer different
paragraphs. Each run reads the same SQuAD questions once, in the same number of steps, with at most
1 (shuffled), 4, 16 (the default) or all questions of a paragraph in a step. `qa` finds spans with
questions as branches; `qa_generative` writes answers, and has a loss per token. Each run's scores
are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import carry_out_all  # noqa: E402

ALL = 1000
"""More questions than any paragraph has."""
TASKS = ("qa", "qa_generative")
COLUMNS = ("cpu_seconds", "loss", "f1", "em")


@dataclass(frozen=True)
class Run:
    """One training run of the study."""

    task: str
    branches: int
    seed: int
    line: list[str] = field(compare=False)

    @property
    def name(self) -> str:
        """Of its folder and file."""
        return f"{self.task}-{self.branches}-{self.seed}"


def questions(source: Path, count: int | None, target: Path) -> Path:
    """Write SQuAD's questions as rows, which both tasks read; the first `count`, or all."""
    articles = json.loads(source.read_text(encoding="utf-8"))["data"]
    rows = [
        {
            "text": paragraph["context"],
            "question": question["question"],
            "answers": [answer["text"] for answer in question["answers"]],
        }
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]), encoding="utf-8")
    return target


def every(path: Path, count: int) -> Path:
    """Thin a file of rows out to `count` of them, spread evenly over it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [lines[i * len(lines) // count] for i in range(min(count, len(lines)))]
    path.write_text("".join(kept), encoding="utf-8")
    return path


def runs(options: argparse.Namespace, data: Path) -> Iterator[Run]:
    """Yield every run of the study."""
    squad, rows = data / "squad", options.out / "rows"
    train = questions(squad / "train-v1.1.subset.json", options.answers, rows / "train.jsonl")
    held = questions(squad / "dev-v1.1.reconstructed.json", None, rows / "validation.jsonl")
    every(held, options.validation)
    for seed in range(1, options.seeds + 1):
        for task in options.tasks:
            gold = "answers" if task == "qa" else "target"
            own = "layout=branch" if task == "qa" else f"validation_examples={options.validation}"
            for branches in options.branches:
                line = [
                    f"task={task}",
                    "trunk=tiny",
                    f"tasks.{task}.data.source=null",
                    f"tasks.{task}.data.train={train}",
                    f"tasks.{task}.data.validation={held}",
                    f"tasks.{task}.columns={{text: text, question: question, {gold}: answers}}",
                    f"tasks.{task}.options.{own}",
                    f"batching.max_branches={branches}",
                    "batching.examples=16",
                    "trainer.max_epochs=1",
                    "trainer.val_check_interval=1000000",
                    "trainer.test=false",
                    "trainer.threads=1",
                    f"seed={seed}",
                    "logger=csv",
                ]
                yield Run(task, branches, seed, [*line, *options.set])


def scores(task: str, found: Mapping[str, float]) -> dict[str, float]:
    """Return a run's figures: percentages, and the loss per token of a task that writes."""
    row = {
        "cpu_seconds": found["cpu_seconds"],
        "f1": 100 * found[f"val/{task}/f1"],
        "em": 100 * found[f"val/{task}/em"],
    }
    perplexity = found.get(f"val/{task}/perplexity")
    return row if perplexity is None else {**row, "loss": math.log(perplexity)}


def spread(values: Sequence[float], digits: int) -> str:
    """Return a mean and a standard deviation; nothing where there are no values."""
    if not values:
        return ""
    more = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{more}"


def table(found: Mapping[tuple[str, int], Sequence[Mapping[str, float]]]) -> str:
    """Return a Markdown table: a line a task and limit, means over seeds.

    Args:
        found: By task and limit, the figures of each seed.
    """
    lines = [f"| task | branches | {' | '.join(COLUMNS)} |", "|---|---|---|---|---|---|"]
    for (task, branches), seeds in found.items():
        cells = [
            spread([row[name] for row in seeds if name in row], 3 if name == "loss" else 1)
            for name in COLUMNS
        ]
        most = "all" if branches == ALL else str(branches)
        lines.append(f"| {task} | {most} | {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--branches", nargs="+", type=int, default=[1, 4, 16, ALL], help="limits to compare")
    add("--seeds", type=int, default=3)
    add("--answers", type=int, default=4000, help="questions to train on (default 4000)")
    add("--validation", type=int, default=500, help="questions to validate on (default 500)")
    add("--jobs", type=int, default=2, help="runs at a time, a thread each")
    add("--out", type=Path, default=ROOT / "outputs" / "grouping")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of train.py")
    options = parser.parse_args(given)
    options.out = options.out.resolve()
    if "MTL_DATA" not in os.environ:
        parser.error("Expected MTL_DATA to name a folder with squad/ in it.")
    return options


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options, Path(os.environ["MTL_DATA"])))
    carry_out_all([(run.name, run.line) for run in todo], options.out, options.jobs)
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for run in sorted(todo, key=lambda r: (r.task, r.branches, r.seed)):
        values = json.loads((options.out / f"{run.name}.json").read_text(encoding="utf-8"))
        found.setdefault((run.task, run.branches), []).append(scores(run.task, values))
    print(table(found))


if __name__ == "__main__":
    main()
