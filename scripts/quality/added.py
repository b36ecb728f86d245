"""What a third task costs the two that a model had learned, and what holds them.

MTL_DATA=FOLDER python scripts/quality/added.py --trunk MODEL --seeds 3 --jobs 2

Entities of CoNLL-2003 and the sentiment of SST-2 are learned first; then chunks of other sentences
of CoNLL-2003 are added. Test scores of all three, and of the two before. Each run's scores are kept
in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all, scores_of  # noqa: E402

CHOICES = {
    "plain": ["init.rehearse=0"],
    "rehearsal": ["init.rehearse=0.1"],
    "distillation": ["init.rehearse=0", "init.keep=distill"],
    "both": ["init.rehearse=0.1", "init.keep=distill"],
    "all-rows": [],
}
SCORES = {"ner": "ner/f1", "sentiment": "sentiment/accuracy", "chunk": "chunk/f1"}


def halves(source: Path, folder: Path, sentences: int) -> list[Path]:
    """Write the first sentences of a CoNLL file, and as many that follow them."""
    blocks = [b for b in source.read_text(encoding="utf-8").split("\n\n") if b.strip()]
    blocks = [block for block in blocks if not block.startswith("-DOCSTART-")]
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        path = folder / f"part-{number + 1}.conll"
        part = blocks[number * sentences : (number + 1) * sentences]
        path.write_text("\n\n".join(part) + "\n", encoding="utf-8")
        found.append(path)
    return found


def common(options: argparse.Namespace, seed: int) -> list[str]:
    """Return what all runs of a seed are told."""
    first, _ = halves(conll() / "eng.train", options.out / "rows", options.rows)
    line = ["experiment=conll2003_sst2", f"trunk.path={options.trunk}", "logger=csv"]
    line += ["trainer.max_epochs=1", f"tasks.ner.data.train={first}", f"seed={seed}"]
    line += [f"tasks.sentiment.data.max_train_examples={options.rows // 2}"]
    line += ["balancing=sum", "tasks.ner.weight=5"]
    return [*line, *options.set]


def conll() -> Path:
    """Return the folder of CoNLL-2003."""
    return Path(os.environ["MTL_DATA"]) / "conll2003"


def firsts(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the runs of the two old tasks."""
    for seed in range(1, options.seeds + 1):
        yield f"first.{seed}", common(options, seed)


def seconds(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the runs that add the third."""
    _, part = halves(conll() / "eng.train", options.out / "rows", options.rows)
    files = {"train": part, "validation": conll() / "eng.testa", "test": conll() / "eng.testb"}
    chunk = ["+tasks.chunk.type=token_classification", "+tasks.chunk.weight=5"]
    chunk += [f"+tasks.chunk.data.{split}={path}" for split, path in files.items()]
    chunk += ["+tasks.chunk.data.format=conll", "+tasks.chunk.data.unseen_labels=count"]
    chunk += ["+tasks.chunk.columns={tokens: 0, labels: 2}"]
    for seed in range(1, options.seeds + 1):
        for choice, own in CHOICES.items():
            init = f"init={options.out / 'kept' / f'first.{seed}'}"
            yield f"{choice}.{seed}", [*common(options, seed), *chunk, init, *own]


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return a Markdown table: means over seeds, and each seed's, on 0 to 100."""
    lines = ["| | entities F1 | sentiment accuracy | chunks F1 |", "|---|---|---|---|"]
    for choice, each in found.items():
        cells = []
        for name in SCORES.values():
            values = [100 * one[f"test/{name}"] for one in each if f"test/{name}" in one]
            shown = ", ".join(f"{value:.1f}" for value in values)
            cells.append(f"{mean(values):.2f} ({shown})" if values else "")
        lines.append(f"| {choice} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> None:
    """Run what is missing; print all."""
    parser = Options(__doc__, "added", ["conll2003", "sst2"])
    parser.add_argument("--rows", type=int, default=5000, help="sentences of each part")
    options = parser.read(given)

    def keep(folder: Path) -> dict[str, Any]:
        shutil.copytree(folder, options.out / "kept" / folder.name, dirs_exist_ok=True)
        return {}

    before, after = list(firsts(options)), list(seconds(options))
    carry_out_all(before, options.out, options.jobs, keep)
    carry_out_all(after, options.out, options.jobs)
    print(table(scores_of([*before, *after], options.out)))


if __name__ == "__main__":
    main()
