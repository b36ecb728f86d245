"""What grouping a paragraph's questions costs: validation scores after equally many answers.

python scripts/quality/grouping.py --seeds 3 --jobs 2 --out outputs/grouping

Questions of SQuAD (``MTL_DATA``) as branches of their paragraph on the bundled decoder. Every run
gives the same answers an equal number of times, in steps of equally many; what differs is how many
questions of one paragraph a step may hold (``batching.max_branches``): 1 shuffles every question on
its own. Each run's scores are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.config.schema import BatchingConfig  # noqa: E402

DEFAULT = BatchingConfig().max_branches
BRANCHES = (1, 4, DEFAULT, 1000)
"""Most questions of one paragraph in a step; the last is more than a step holds."""
TASK = "qa"
LOSS = "val/qa/loss"
SCORES = ("val/qa/f1", "val/qa/em")


@dataclass(frozen=True)
class Run:
    """One training run."""

    branches: int
    seed: int
    line: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder and file."""
        return f"{self.branches}-{self.seed}"


def line_of(options: argparse.Namespace) -> list[str]:
    """Return what all runs have in common."""
    return [
        "experiment=squad",
        "trunk=tiny",
        "trunk.dropout=null",
        f"trunk.lr={options.lr}",
        "trunk.max_length=384",
        "tasks.qa.options.layout=branch",
        f"tasks.qa.data.max_examples={options.validation}",
        f"tasks.qa.data.max_train_examples={options.answers}",
        f"batching.examples={options.step}",
        "trainer.max_epochs=1",
        "trainer.limit_val_examples=null",
        "trainer.val_check_interval=1000000",
        "trainer.test=false",
        "trainer.threads=1",
        "logger=csv",
    ]


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield every run, a seed after the other."""
    shared = line_of(options)
    for seed in range(1, options.seeds + 1):
        for branches in options.branches:
            own = [f"batching.max_branches={branches}", f"seed={seed}"]
            yield Run(branches, seed, (*shared, *own, *options.set))


def carry_out(run: Run, out: Path) -> None:
    """Train, and keep the validation's scores; does nothing if they are there.

    Raises:
        RuntimeError: If training fails, or what is kept is of other settings.
    """
    kept, folder = out / f"{run.name}.json", out / "runs" / run.name
    if kept.exists():
        if json.loads(kept.read_text(encoding="utf-8"))["line"] != list(run.line):
            raise RuntimeError(f"{kept}: of other settings; choose another --out, or delete it.")
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, str(ROOT / "train.py"), *run.line, f"hydra.run.dir={folder}"]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    seconds = time.perf_counter() - start
    scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = {
        "line": run.line,
        "seconds": seconds,
        LOSS: validation_loss(folder),
        **{name: scores[name] for name in SCORES},
    }
    beside = kept.with_suffix(".part")
    beside.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    beside.replace(kept)
    shutil.rmtree(folder)


def validation_loss(folder: Path) -> float:
    """Return the mean loss of a finished run's validation questions."""
    import torch

    from mtl.data.collate import Collator
    from mtl.data.loaders import EvalLoader
    from mtl.inference.evaluator import _predictor, _split, run_config
    from mtl.tasks.encode import encode_split
    from mtl.trunk.text import pad_id

    torch.set_num_threads(1)
    cfg = run_config(folder)
    predictor = _predictor(folder, cfg, "cpu")
    rows = _split(cfg, TASK, predictor, "validation", folder, [])
    assert rows is not None
    model, encoder = predictor.model, predictor.loaded.encoder
    store = encode_split(model.tasks[TASK], rows, encoder, predictor.loaded.attention(TASK))
    collator = Collator(
        [store], budget=predictor.tokens, share=predictor.share, pad=pad_id(encoder.tokenizer)
    )
    total = 0.0
    with torch.inference_mode():
        for batch in EvalLoader(collator, [store]):
            targets = batch.heads[TASK].targets
            total += float(model.head(TASK).loss(model(batch)[TASK], targets, 1.0))
    return total / float(sum(store.masses))


def spread(values: Sequence[float], digits: int) -> str:
    """Return a mean with a standard deviation, where there are several."""
    more = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{more}"


def table(found: Sequence[Run], out: Path) -> str:
    """Return a Markdown table: a row for each number of branches."""
    lines = [
        "| questions of a paragraph in a step | loss | F1 | EM | seconds |",
        "|---|---|---|---|---|",
    ]
    for branches in dict.fromkeys(run.branches for run in found):
        kept = [out / f"{run.name}.json" for run in found if run.branches == branches]
        values = [json.loads(path.read_text(encoding="utf-8")) for path in kept]
        loss = spread([v[LOSS] for v in values], 3)
        scores = [spread([100 * v[name] for v in values], 1) for name in SCORES]
        seconds = spread([v["seconds"] for v in values], 0)
        name = f"at most {branches}{' (default)' if branches == DEFAULT else ''}"
        lines.append(f"| {' | '.join([name, loss, *scores, seconds])} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--branches", type=int, nargs="+", default=list(BRANCHES))
    add("--seeds", type=int, default=3)
    add("--jobs", type=int, default=1, help="runs at a time, a thread each")
    add("--answers", type=int, default=3000, help="questions to train on (default 3,000)")
    add("--validation", type=int, default=1000, help="questions of dev (default 1,000)")
    add("--step", type=int, default=32, help="answers a step (default 32)")
    add("--lr", default="5e-4")
    add("--out", type=Path, default=ROOT / "outputs" / "grouping")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of train.py")
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not os.environ.get("MTL_DATA"):
        parser.error("Expected MTL_DATA to name the folder that holds squad/, but it is unset.")
    return options


def main() -> None:
    """Run what is missing, and print all."""
    options = arguments()
    todo = list(runs(options))
    options.out.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, ThreadPoolExecutor(options.jobs) as pool:
        for _ in bar.track(pool.map(lambda r: carry_out(r, options.out), todo), total=len(todo)):
            pass
    print(table(todo, options.out))


if __name__ == "__main__":
    main()
