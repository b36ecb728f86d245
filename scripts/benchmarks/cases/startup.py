"""How long a user waits for the help text, and for the first training step of the bundled run.

Each round is a command in a fresh process. The second one is ``python train.py`` as it comes, W&B
offline, and a CSV file besides: its clock stops when the step's loss stands in ``metrics.csv``;
what the process does after that is not waited for.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmarks.runner import ROOT, Case, Prepared, Ratio, Settings

LARGEST = 8
"""How many imports are shown."""
EVERY = 0.01
"""Seconds between looks at the file."""
PATIENCE = 300.0
"""Seconds after which a run without a step is given up."""
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")
HEAVY = "import mtl.training.run, wandb"
"""What `train.py` imports before it trains."""


def help_seconds() -> float:
    """Return the seconds of ``python train.py --help``."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "train.py", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


class FirstStep:
    """Runs the command up to its first step, and keeps what that took of the processor.

    Args:
        threads: Of one operator.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.cpu = 0.0
        """Seconds of CPU time of the latest run's own process."""

    def seconds(self) -> float:
        """Return the seconds from the command to the end of its first step.

        Raises:
            RuntimeError: If the command ends, or :data:`PATIENCE` does, without a step.
        """
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "run" / "metrics.csv"
            before, start = processor_seconds(), time.perf_counter()
            run = subprocess.Popen(
                self.command(log.parent),
                cwd=ROOT,
                env={**os.environ, "WANDB_MODE": "offline"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                while not stepped(log):
                    if run.poll() is not None or time.perf_counter() - start > PATIENCE:
                        raise RuntimeError(f"no step of {' '.join(self.command(log.parent))}")
                    time.sleep(EVERY)
                return time.perf_counter() - start
            finally:
                run.kill()
                run.wait()
                self.cpu = processor_seconds() - before

    def command(self, run_dir: Path) -> list[str]:
        """Return what is typed: the bundled run, with a CSV file that says when a step is done."""
        return [
            *(sys.executable, "train.py", "logger=[wandb,csv]"),
            *("trainer.log_every_n_steps=1", f"trainer.threads={self.threads}"),
            f"hydra.run.dir={run_dir}",
        ]


def processor_seconds() -> float:
    """Return the CPU time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stepped(log: Path) -> bool:
    """Return whether a training loss was written."""
    return log.is_file() and "train/" in log.read_text("utf-8")


def largest_imports(command: list[str]) -> str:
    """Return which packages' own modules take longest to import, in ms, and all of them."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    own: dict[str, int] = {}
    for line in found.stderr.splitlines():
        if match := LINE.match(line):
            package = match[4].partition(".")[0]
            own[package] = own.get(package, 0) + int(match[1])
    first = sorted(own, key=lambda name: -own[name])[:LARGEST]
    shares = ", ".join(f"{name} {own[name] / 1000:.0f}" for name in first)
    return f"{shares}; all {sum(own.values()) / 1000:.0f}"


def prepare(settings: Settings) -> Prepared:
    """Look at the imports, which also brings the files into the system's cache."""
    first = FirstStep(settings.threads)
    return Prepared(
        unit="seconds",
        sides={
            "help": help_seconds,
            "first step": first.seconds,
            "first step, CPU": lambda: first.cpu,  # Of the run just before.
            "one second": lambda: 1.0,
        },
        ratios=[
            Ratio("seconds of --help", "help", "one second", 2.0, at_least=False),
            Ratio("seconds to the first step", "first step", "one second", 10.0, at_least=False),
            Ratio("the same, CPU time of its process", "first step, CPU", "one second"),
        ],
        warm_up=not settings.short,
        notes={
            "imports of --help, ms by package": largest_imports(["train.py", "--help"]),
            "imports of training, ms by package": largest_imports(["-c", HEAVY]),
        },
    )


CASE = Case("startup", "from the command to the help text and to the first step", prepare)
