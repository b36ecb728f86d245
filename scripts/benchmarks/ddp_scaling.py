"""How much faster several processes train than one, one CPU thread a process.

    python scripts/benchmarks/ddp_scaling.py --rounds 3 --steps 60 --output scaling.json

Every process gets the same number of examples a step, so the whole step grows with their number
(weak scaling). One process and several take turns, and each turn is a run of ``train.py`` on the
bundled trunk and corpus. Speed is the median of `train/tokens_per_second` over the logged windows
of a run, the first left out: real tokens of all processes. What is reported is the median of the
rounds, and their spread; leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVERY = 5


def main() -> None:
    arguments = _arguments()
    counts = [1, arguments.processes]
    found: dict[int, list[float]] = {count: [] for count in counts}
    for number in range(arguments.rounds):
        for count in counts if number % 2 == 0 else reversed(counts):
            found[count].append(speed(count, arguments))
            print(f"round {number + 1}: {count} processes, {found[count][-1]:,.0f} tokens/s")
    alone, together = (statistics.median(found[count]) for count in counts)
    result = {
        "processes": arguments.processes,
        "examples_per_process": arguments.examples,
        "strategy": arguments.strategy,
        "tokens_per_second": {str(count): values for count, values in found.items()},
        "speedup": together / alone,
        "efficiency": together / alone / arguments.processes,
    }
    print(json.dumps(result, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--examples", type=int, default=64, help="a step and process")
    parser.add_argument("--strategy", choices=("ddp", "fsdp"), default="ddp")
    parser.add_argument("--output", type=Path)
    parser.add_argument("overrides", nargs="*", help="more for train.py")
    return parser.parse_args()


def speed(count: int, arguments: argparse.Namespace) -> float:
    """Return the real tokens a second of all processes, in a run of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "task=ner,sentiment",
            "trunk=tiny",
            "balancing=sum",
            "trainer.accelerator=cpu",
            f"trainer.strategy={arguments.strategy}",
            f"trainer.devices={count}",
            "trainer.threads=1",
            f"trainer.max_steps={arguments.steps}",
            f"trainer.val_check_interval={arguments.steps}",
            "trainer.limit_val_examples=8",
            "trainer.test=false",
            "trainer.progress=false",
            f"trainer.log_every_n_steps={EVERY}",
            f"batching.examples={arguments.examples * count}",
            "logger=csv",
            f"hydra.run.dir={run}",
            *arguments.overrides,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = [row["train/tokens_per_second"] for row in csv.DictReader(file)]
    return statistics.median([float(value) for value in rows if value][1:])


if __name__ == "__main__":
    main()
