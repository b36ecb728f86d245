"""Runs of several processes through ``train.py``, beside the same run in one."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.training.site import TASKS, Site

ROOT = Path(__file__).parents[2]
NAMES = ("ner", "sentiment", "rating", "gist")


def arguments(site: Site, conf: Path, *more: str) -> list[str]:
    """Return the arguments of a short run of all kinds of tasks, without dropout.

    Two tasks have one row and three: fewer than there are processes, and none in many a step. Rows
    are split into passes, and the last step of an epoch is smaller than the others.

    Args:
        site: Trunk and corpus.
        conf: Where the tasks' files are written.
        more: Further arguments; they win.
    """
    (conf / "task").mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        task = TASKS[name]()
        values = {"type": task.type, "columns": task.columns, "options": task.options}
        text = f"# @package tasks.{name}\n" + yaml.safe_dump(values)
        (conf / "task" / f"x_{name}.yaml").write_text(text, encoding="utf-8")
    chosen = any(argument.startswith("balancing=") for argument in more)
    return [
        f"--config-dir={conf}",
        *([] if chosen else ["balancing=sum"]),  # The only one that goes with all strategies.
        f"task={','.join(f'x_{name}' for name in NAMES)}",
        *(f"tasks.{name}.data.source={site.data}" for name in NAMES),
        *(f"tasks.{name}.head.dropout=0" for name in NAMES if name != "gist"),
        "tasks.rating.data.max_train_examples=1",
        "tasks.gist.data.max_train_examples=3",
        "trunk=hf",
        f"trunk.path={site.trunk}",
        "trunk.dropout=0",
        "trunk.lr=1e-2",
        "head.lr=2e-2",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=2",
        "trainer.val_check_interval=5",
        "trainer.threads=1",
        "trainer.log_every_n_steps=1",
        "trainer.progress=false",
        "batching.examples=5",
        "batching.tokens=24",
        "logger=csv",
        *more,
    ]


def train_py(*argv: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``train.py`` as a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, str(ROOT / "train.py"), *argv]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def logged(run: Path) -> list[dict[str, float]]:
    """Return what a run logged in ``metrics.csv``, but speeds and memory, a dictionary a row."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [
            {
                k: float(v)
                for k, v in row.items()
                if v and not k.endswith(("_per_second", "memory_gb"))
            }
            for row in csv.DictReader(file)
        ]


def tree(run: Path) -> list[str]:
    """Return the names of all files of a run."""
    return sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file())
