"""What studies of many training runs share."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ROOT = Path(__file__).resolve().parents[2]


Look = Callable[[Path], dict[str, Any]]
"""What else to keep of a run's folder before it is removed."""


class Options(argparse.ArgumentParser):
    """The options that studies share.

    Args:
        description: The script's own.
        name: Of its folder below ``outputs/``.
        data: The folders that `MTL_DATA` has to have.
        trunk: What is trained without ``--trunk``; None where it has to be given.
    """

    def __init__(
        self, description: str | None, name: str, data: Sequence[str], *, trunk: str | None = None
    ) -> None:
        layout = argparse.RawTextHelpFormatter
        super().__init__(description=description, formatter_class=layout)
        self.data = data
        default = f"; without it {trunk}" if trunk else ""
        self.add_argument("--trunk", required=not trunk, help=f"a model's folder{default}")
        self.add_argument("--seeds", type=int, default=3)
        self.add_argument("--jobs", type=int, default=2, help="runs at a time, a thread each")
        self.add_argument("--out", type=Path, default=ROOT / "outputs" / name)
        more = "more settings of train.py"
        self.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help=more)

    def read(self, given: Sequence[str] | None = None) -> argparse.Namespace:
        """Return the command line's options, with a folder for the study; ends without data."""
        options = self.parse_args(given)
        options.out = options.out.resolve()
        if "MTL_DATA" not in os.environ:
            folders = " and ".join(f"{name}/" for name in self.data)
            self.error(f"Expected MTL_DATA to name a folder with {folders} in it.")
        options.out.mkdir(parents=True, exist_ok=True)
        return options


def carry_out(name: str, line: Sequence[str], out: Path, look: Look | None = None) -> None:
    """Train, and keep the scores in `out`; does nothing if they are there.

    Args:
        name: Of the run's file.
        line: What `train.py` is told.
        out: The study's folder.
        look: Finds what else to keep with the scores.

    Raises:
        RuntimeError: If the run fails, with what it said.
    """
    kept, folder = out / f"{name}.json", out / "runs" / name
    if kept.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, str(ROOT / "train.py"), *line, f"hydra.run.dir={folder}"]
    code, said, seconds = run(command)
    if code:
        raise RuntimeError(f"{' '.join(command)}\n{said[-4000:]}")
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found["cpu_seconds"] = seconds
    found |= look(folder) if look else {}
    kept.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder)


def run(command: Sequence[str]) -> tuple[int, str, float]:
    """Run a command on one thread; return its exit code, what it said, and its seconds of CPU."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return child.returncode, said.read(), used.ru_utime + used.ru_stime


def carry_out_all(
    runs: Sequence[tuple[str, list[str]]], out: Path, jobs: int, look: Look | None = None
) -> None:
    """Do what is missing of some runs, given as names and lines, so many at a time, with a bar."""
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda run: carry_out(run[0], run[1], out, look), runs)
        for _ in bar.track(done, total=len(runs)):
            pass


def scores_of(runs: Sequence[tuple[str, list[str]]], out: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the scores of runs called ``CHOICE.SEED``, by choice."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, _ in runs:
        scores = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        found.setdefault(name.rpartition(".")[0], []).append(scores)
    return found


def table(
    found: Mapping[str, Sequence[Mapping[str, float]]], metrics: Sequence[str], scale: float = 100
) -> str:
    """Return a Markdown table: a line a choice and metric, with all seeds, mean and deviation.

    Args:
        found: By choice, the scores of each seed.
        metrics: Full names.
        scale: What a score of 1 is shown as.
    """
    lines = ["| choice | metric | seeds | mean | sd |", "|---|---|---|---|---|"]
    for choice, scores in found.items():
        for metric in metrics:
            values = [scale * score[metric] for score in scores]
            each = ", ".join(f"{v:.2f}" for v in values)
            spread = f"{stdev(values):.2f}" if len(values) > 1 else ""
            lines.append(f"| {choice} | {metric} | {each} | {mean(values):.2f} | {spread} |")
    return "\n".join(lines)
