"""What pretraining brings: the bundled decoder against the same one from random weights.

python scripts/quality/pretraining.py newsroom --seeds 5 --jobs 2 --out outputs/pretraining
python scripts/quality/pretraining.py conll2003 sst2 --seeds 3 --jobs 2 --out outputs/pretraining

``newsroom`` trains all four tasks of the bundled corpus on 25, 50, 100 and all of its training
documents, drawn by the seed, and draws the curves into ``newsroom.svg``. ``conll2003`` takes the
first 1,000 sentences of CoNLL-2003 for 5 epochs and ``sst2`` the first 1,000 rows of SST-2 for 5;
both want ``MTL_DATA``. Each run's test scores are kept in a JSON file, so a stopped study goes on
where it was. Both starts get the same steps; each has its own learning rate (``--help``).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import carry_out_all  # noqa: E402

NEWSROOM = ROOT / "mtl" / "data" / "bundled" / "newsroom"
EPOCHS = {25: 16, 50: 12, 100: 8, 0: 4}
"""How often the documents of each size are read; 0 stands for all."""
METRICS = {
    "newsroom": ("ner/f1", "sentiment/accuracy", "summarization/rougeL", "qa/f1"),
    "conll2003": ("ner/f1",),
    "sst2": ("sentiment/accuracy",),
}
STARTS = {"pretrained": "true", "random": "false"}


@dataclass(frozen=True)
class Run:
    """One training run of a study."""

    study: str
    size: int
    start: str
    seed: int
    line: list[str] = field(compare=False)

    @property
    def name(self) -> str:
        """Of its folder and file."""
        return f"{self.study}-{self.size or 'all'}-{self.start}-{self.seed}"


def sample(size: int, seed: int, folder: Path) -> Path:
    """Write the bundled corpus with `size` of its training documents; 0 for all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("validation", "test"):
        shutil.copyfile(NEWSROOM / f"{name}.jsonl", folder / f"{name}.jsonl")
    lines = (NEWSROOM / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    if size:
        lines = random.Random(seed).sample(lines, size)
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def newsroom(seed: int, out: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the sizes of the bundled corpus, with what is particular to each."""
    tasks = [m.split("/")[0] for m in METRICS["newsroom"]]
    for size, epochs in EPOCHS.items():
        folder = sample(size, seed, out / "documents" / f"{size or 'all'}-{seed}")
        yield (
            size,
            [
                f"task={','.join(tasks)}",
                "balancing=sum",
                *(f"tasks.{t}.data.source={folder}" for t in tasks),
                f"trainer.max_epochs={epochs}",
            ],
        )


def corpus(study: str) -> list[str]:
    """Return what is particular to a study of a thousand rows."""
    task = METRICS[study][0].split("/")[0]
    return [
        "experiment=conll2003_sst2",
        "trunk=tiny",
        f"task={task}",
        f"tasks.{task}.data.max_train_examples=1000",
        "batching.examples=16",
        "trainer.max_epochs=5",
        *(["tasks.sentiment.head.pooling=mean"] if task == "sentiment" else []),
    ]


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield every run of the studies that were asked for."""
    for seed in range(1, options.seeds + 1):
        for study in options.studies:
            parts = newsroom(seed, options.out) if study == "newsroom" else [(1000, corpus(study))]
            for size, line in parts:
                for start, pretrained in STARTS.items():
                    rate = options.lr if start == "pretrained" else options.random_lr
                    shared = [
                        f"trunk.pretrained={pretrained}",
                        f"trunk.lr={rate}",
                        f"seed={seed}",
                        "trainer.threads=1",
                        f"trainer.precision={options.precision}",
                        "trainer.val_check_interval=1000000",
                        "logger=csv",
                    ]
                    yield Run(study, size, start, seed, [*line, *shared, *options.set])


Scores = dict[tuple[str, int, str], dict[str, list[float]]]


def collect(found: Sequence[Run], out: Path) -> Scores:
    """Return the scores of each study, size and start, by metric, a value a seed."""
    scores: Scores = {}
    for run in found:
        values = json.loads((out / f"{run.name}.json").read_text(encoding="utf-8"))
        row = scores.setdefault((run.study, run.size, run.start), {})
        for metric in METRICS[run.study]:
            row.setdefault(metric, []).append(100 * values[f"test/{metric}"])
            row.setdefault(f"baseline {metric}", []).append(100 * values[f"baseline/{metric}"])
    return scores


def spread(values: Sequence[float]) -> str:
    """Return a mean and a standard deviation."""
    return f"{mean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def show(scores: Scores) -> None:
    """Print a Markdown table of means, standard deviations and seeds that came out ahead."""
    print("| rows | metric | pretrained | random start | ahead |\n|---|---|---|---|---|")
    for study, size, start in scores:
        if start != "pretrained":
            continue
        for metric in METRICS[study]:
            ours = scores[study, size, "pretrained"][metric]
            theirs = scores[study, size, "random"][metric]
            ahead = sum(a > b for a, b in zip(ours, theirs, strict=True))
            cells = [size or "all", metric, spread(ours), spread(theirs), f"{ahead} of {len(ours)}"]
            print(f"| {' | '.join(map(str, cells))} |")


def draw(scores: Scores, path: Path) -> None:
    """Draw the curves of the bundled corpus, a panel a task."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "mtl"
    whole = len((NEWSROOM / "train.jsonl").read_text(encoding="utf-8").splitlines())
    figure, panels = plt.subplots(2, 2, figsize=(8, 6), sharex=True, layout="constrained")
    for panel, metric in zip(panels.flat, METRICS["newsroom"], strict=True):
        for start, colour in (("pretrained", "#1f6f8b"), ("random", "#b5651d")):
            rows = {s or whole: scores["newsroom", s, start][metric] for s in EPOCHS}
            sizes, means = list(rows), [mean(v) for v in rows.values()]
            panel.plot(sizes, means, marker="o", color=colour, label=start)
            panel.fill_between(
                sizes,
                [min(v) for v in rows.values()],
                [max(v) for v in rows.values()],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        guess = scores["newsroom", 0, "random"][f"baseline {metric}"][0]
        panel.axhline(guess, color="grey", linestyle=":", label="guess")
        panel.set_title(metric)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [str(s) for s in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False)
    figure.supxlabel("training documents")
    figure.supylabel("test score; band: lowest to highest seed")
    figure.savefig(path, metadata={"Date": None})


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("studies", nargs="+", choices=list(METRICS))
    add("--seeds", type=int, default=5)
    add("--jobs", type=int, default=2, help="runs at a time, a thread each")
    add("--lr", default="5e-4", help="of the pretrained trunk (default 5e-4)")
    add("--random-lr", default="1e-3", help="of the random one (default 1e-3)")
    add("--precision", default="bf16-mixed")
    add("--out", type=Path, default=ROOT / "outputs" / "pretraining")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of train.py")
    options = parser.parse_args()
    options.out = options.out.resolve()
    return options


def main() -> None:
    """Run what is missing; print and draw all."""
    options = arguments()
    todo = list(runs(options))
    carry_out_all([(run.name, run.line) for run in todo], options.out, options.jobs)
    scores = collect(todo, options.out)
    show(scores)
    if "newsroom" in options.studies:
        draw(scores, options.out / "newsroom.svg")
        print(options.out / "newsroom.svg")


if __name__ == "__main__":
    main()
