"""What each tuning method is worth, and what it costs.

MTL_DATA=FOLDER python scripts/quality/tuning.py --trunk MODEL --seeds 3 --jobs 2

Entities of CoNLL-2003 and the sentiment of SST-2, together: test scores, how many weights of the
trunk learn, the most memory, and the seconds of CPU of a run on one thread. Each run's figures are
kept in a JSON file, so a stopped study goes on where it was.
`ranks.svg` shows what AdaLoRA's first seed gave to each layer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.reporting.loggers.csv_file import read_rows  # noqa: E402
from scripts.quality.study import Options, carry_out_all, scores_of  # noqa: E402

METHODS = {
    "full": ["trunk.lr=1e-4"],
    "full-decay": ["trunk.lr=2e-4", "tuning.layer_decay=0.9"],
    "gradual": ["tuning=gradual", "trunk.lr=1e-4"],
    "last": ["tuning=last", "tuning.layers=2", "trunk.lr=1e-4"],
    "lora": ["tuning=lora"],
    "dora": ["tuning=dora"],
    "adalora": ["tuning=adalora"],
    "ia3": ["tuning=ia3"],
    "vera": ["tuning=vera"],
    "frozen": ["tuning=frozen", "head.lr=1e-2"],
}
SCORES = ("test/ner/f1", "test/sentiment/accuracy")
SQUARE, LEFT, TOP = 26, 190, 40


def runs(options: argparse.Namespace, data: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study."""
    conll, sst2 = data / "conll2003", data / "sst2"
    files = {
        "ner": {"train": "eng.train", "validation": "eng.testa", "test": "eng.testb"},
        "sentiment": {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"},
    }
    line = ["task=ner,sentiment", "trunk=hf", f"trunk.path={options.trunk}", "logger=csv"]
    for task, folder in (("ner", conll), ("sentiment", sst2)):
        line += [f"tasks.{task}.data.{split}={folder / f}" for split, f in files[task].items()]
    line += ["tasks.ner.columns={text: null, tokens: 0, labels: 3}", "tasks.ner.data.format=conll"]
    line += ["tasks.sentiment.data.header=false", "tasks.sentiment.columns={text: 0, label: 1}"]
    line += [f"trainer.max_steps={options.steps}", "balancing=sum"]
    line += [f"tasks.{task}.data.max_train_examples={options.rows}" for task in files]
    for seed in range(1, options.seeds + 1):
        for method, own in METHODS.items():
            yield f"{method}.{seed}", [*line, *own, f"seed={seed}", *options.set]


def look(run: Path) -> dict[str, Any]:
    """Return how many weights learned, the most memory, and ranks where there are any."""
    about = json.loads((run / "report" / "run.json").read_text(encoding="utf-8"))
    rows = read_rows(run / "metrics.csv")
    memory = [float(row["train/memory_gb"]) for row in rows if row.get("train/memory_gb")]
    found = {"learning": about["learning"], "memory_gb": max(memory)}
    if (file := run / "report" / "tuning.json").is_file():
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return a Markdown table: a line a method."""
    lines = [
        "| method | entity F1 | accuracy | weights that learn | GB | CPU s |",
        "|---|" + "---:|" * 5,
    ]
    for method, each in found.items():
        scores = [
            f"{mean(values):.2f} ({', '.join(f'{v:.1f}' for v in values)})"
            for name in SCORES
            if (values := [100 * one[name] for one in each])
        ]
        costs = [f"{each[0]['learning']:,}", f"{max(one['memory_gb'] for one in each):.2f}"]
        costs.append(f"{mean(one['cpu_seconds'] for one in each):.0f}")
        lines.append(f"| {' | '.join([method, *scores, *costs])} |")
    return "\n".join(lines)


def picture(ranks: Mapping[str, int], most: int) -> str:
    """Return ranks as an SVG picture: a line for each kind of layer, a column for each block.

    Args:
        ranks: By the name of each layer, with the number of its block in it.
        most: The rank that all began with.
    """
    cells: dict[tuple[str, int], int] = {}
    for name, rank in ranks.items():
        found = re.search(r"\.(\d+)\.", name)
        assert found is not None, name
        cells[name[: found.start()] + " " + name[found.end() :], int(found[1])] = rank
    kinds = list(dict.fromkeys(kind for kind, _ in cells))
    blocks = max(block for _, block in cells) + 1
    width, height = LEFT + SQUARE * blocks + 10, TOP + SQUARE * len(kinds) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>Ranks at the end, of {most} at first</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for block in range(blocks):
        x = LEFT + SQUARE * (block + 0.5)
        parts.append(f'<text x="{x}" y="{TOP - 8}" text-anchor="middle">{block}</text>')
    for line, kind in enumerate(kinds):
        y = TOP + SQUARE * line
        label = escape(kind.split(" ", 1)[1])
        parts.append(f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{label}</text>')
        for block in range(blocks):
            if (kind, block) not in cells:
                continue
            rank = cells[kind, block]
            x, share = LEFT + SQUARE * block, rank / most
            ink = "#fff" if share > 0.55 else "#111"
            color = ", ".join(str(round(247 - share * (247 - dark))) for dark in (8, 81, 156))
            parts.append(
                f'<rect x="{x}" y="{y}" width="{SQUARE - 1}" height="{SQUARE - 1}" '
                f'fill="rgb({color})"/>'
            )
            parts.append(
                f'<text x="{x + SQUARE / 2}" y="{y + 17}" text-anchor="middle" fill="{ink}">{rank}'
                "</text>"
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "tuning", ["conll2003", "sst2"])
    parser.add_argument("--rows", type=int, default=4000, help="of training, for each task")
    parser.add_argument("--steps", type=int, default=750)
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all, and draw the ranks."""
    options = arguments()
    todo = list(runs(options, Path(os.environ["MTL_DATA"])))
    carry_out_all(todo, options.out, options.jobs, look)
    found = scores_of(todo, options.out)
    print(table(found))
    first = found["adalora"][0]
    drawn = picture(first["ranks"], first["initial_rank"])
    (options.out / "ranks.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
