"""Kill a search, go on with it, and compare its table with that of a search never stopped.

``python scripts/reliability/search.py OUT [--trials 20] [--seed 0]``

Both search one of two tasks, the trunk's rate and the batch on the bundled corpus, with trials
that are pruned; the batches include one that is refused, so that trials fail. The second search
is killed, all its processes at once, after half of the time that the first took, and the same
command goes on. Compared are of every trial what it tried, how it ended, the steps that it took
and all of its metrics. Prints both tables and what pruning saved; exit code 1 if anything
differs, or if no trial failed, none was pruned, or the kill came too late.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (
    "sweep=optuna",
    "task=ner,sentiment",
    "trunk.lr=tag(log, interval(1e-6, 1e-2))",
    "batching.examples=8,16,24,32,0",  # 0 is refused: a trial that fails
    "tasks.sentiment.data.max_examples=200",
    "tasks.ner.data.max_examples=200",
    "trainer.max_steps=40",
    "trainer.val_check_interval=8",
    "trainer.limit_val_examples=50",
    "trainer.test=false",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "logger=none",
)
COMPARED = ("job", "overrides", "status", "score", "metrics", "steps", "planned")
"""What must not differ: all but folders and times."""


def start(folder: Path, asked: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Begin a search, or go on with it, in a group of processes of its own."""
    own = [f"search.trials={asked.trials}", f"search.seed={asked.seed}"]
    words = [sys.executable, "train.py", "-m", *COMMAND, *own, f"hydra.sweep.dir={folder}"]
    env = os.environ | {"COLUMNS": "100"}
    return subprocess.Popen(words, cwd=ROOT, env=env, start_new_session=True)


def jobs(folder: Path) -> list[dict[str, Any]]:
    """Return what a search wrote of its trials, by number."""
    found = json.loads((folder / "sweep.json").read_text())["jobs"]
    return sorted(({key: job[key] for key in COMPARED} for job in found), key=lambda j: j["job"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    out = asked.out.absolute()
    whole, cut = out / "whole", out / "killed"
    begun = time.monotonic()
    start(whole, asked).wait()
    took = time.monotonic() - begun
    process = start(cut, asked)
    time.sleep(took / 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    ended = len(list(cut.glob("job-*/report.html")))
    start(cut, asked).wait()

    expected, found = jobs(whole), jobs(cut)
    different = [one["job"] for one, two in zip(expected, found, strict=True) if one != two]
    ends = Counter(job["status"] for job in expected)
    told = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    planned = sum(job["planned"] or 0 for job in expected)
    taken = sum(job["steps"] or 0 for job in expected)
    print(f"killed after {took / 2:.0f} s, with reports of {ended} trials")
    print(f"{len(expected)} trials: {told}; {1 - taken / planned:.0%} of their steps saved")
    print(f"trials that differ: {different or 'none'}")
    met = not different and ends["error"] and ends["pruned"] and len(found) == asked.trials
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
