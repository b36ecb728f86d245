"""What calibration and thresholds are worth on held-out texts.

MTL_DATA=FOLDER python scripts/quality/calibration.py --trunk MODEL --seeds 3 --jobs 2

`sentiment` is SST-2: the expected calibration error with and without the temperature that
validation chooses. `types` has any number of labels: which types of entities a sentence of
CoNLL-2003 names; F1 with thresholds of a half and with tuned ones. Each run's scores are kept in a
JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all  # noqa: E402

SENTENCES = {
    "train": ("eng.train", 3000),
    "validation": ("eng.testa", 1500),
    "test": ("eng.testb", 3000),
}
CHOICES = {
    "sentiment": ("calibrate", ("false", "true")),
    "types": ("thresholds", ("half", "tuned")),
}
METRICS = {"sentiment": ("accuracy", "ece"), "types": ("micro_f1", "macro_f1", "subset_accuracy")}


def types_of_sentences(source: Path, count: int, target: Path) -> Path:
    """Write each sentence with the types of its entities; the first `count` with three words."""
    rows = []
    for block in source.read_text(encoding="utf-8").split("\n\n"):
        cells = [line.split() for line in block.splitlines() if line.strip()]
        words = [cell[0] for cell in cells]
        if len(words) >= 3:
            found = sorted({cell[-1][2:] for cell in cells if cell[-1] != "O"})
            rows.append({"text": " ".join(words), "label": found})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]), encoding="utf-8")
    return target


def settings(options: argparse.Namespace, task: str, data: Path) -> list[str]:
    """Return what all runs of a task are told."""
    if task == "sentiment":
        files = {
            split: data / "sst2" / f"{name}.tsv"
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        }
        own = ["tasks.sentiment.data.header=false", "tasks.sentiment.columns={text: 0, label: 1}"]
        own.append("tasks.sentiment.data.max_train_examples=3000")
    else:
        folder, conll = options.out / "rows", data / "conll2003"
        files = {
            split: types_of_sentences(conll / name, count, folder / f"{split}.jsonl")
            for split, (name, count) in SENTENCES.items()
        }
        own = ["tasks.sentiment.options.problem=multi", "tasks.sentiment.metric=macro_f1"]
        own.append("tasks.sentiment.columns={text: text, label: label}")
    own += [f"tasks.sentiment.data.{split}={path}" for split, path in files.items()]
    return ["task=sentiment", "trunk=hf", f"trunk.path={options.trunk}", "trunk.lr=1e-4", *own]


def runs(options: argparse.Namespace, data: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study."""
    for task, (key, values) in CHOICES.items():
        line = settings(options, task, data)
        for seed in range(1, options.seeds + 1):
            for value in values:
                more = ["batching.examples=32", "trainer.max_epochs=2", "logger=csv"]
                more += [f"tasks.sentiment.options.{key}={value}", f"seed={seed}"]
                yield f"{task}-{value}-{seed}", [*line, *more, *options.set]


def table(found: Mapping[tuple[str, str], Sequence[Mapping[str, float]]]) -> str:
    """Return a Markdown table: a line a choice and metric, test scores of all seeds and mean."""
    lines = ["| task | choice | metric | seeds | mean |", "|---|---|---|---|---|"]
    for (task, value), scores in found.items():
        for metric in METRICS[task]:
            values = [100 * score[f"test/sentiment/{metric}"] for score in scores]
            each = ", ".join(f"{v:.2f}" for v in values)
            choice = f"{CHOICES[task][0]}={value}"
            lines.append(f"| {task} | {choice} | {metric} | {each} | {mean(values):.2f} |")
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "calibration", ["conll2003", "sst2"])
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options, Path(os.environ["MTL_DATA"])))
    carry_out_all(todo, options.out, options.jobs)
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for name, _ in todo:
        task, value, _ = name.split("-")
        scores = json.loads((options.out / f"{name}.json").read_text(encoding="utf-8"))
        found.setdefault((task, value), []).append(scores)
    print(table(found))


if __name__ == "__main__":
    main()
