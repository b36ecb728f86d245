"""``train.py`` with a training that only notes where it runs: a job of two processes in no time."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.cli.train import main  # noqa: E402
from mtl.config.schema import Config  # noqa: E402
from mtl.errors import DataError  # noqa: E402
from mtl.launch.place import place  # noqa: E402
from mtl.launch.processes import sweep_job, train_in_processes  # noqa: E402


def train(cfg: Config, run_dir: Path) -> dict[str, float]:
    """Start the processes of a job, or be one of them."""
    here = place()
    if cfg.seed == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    if here is None:
        return train_in_processes(cfg, run_dir, [__file__])
    sweep, job = sweep_job()
    note = f"{os.environ['MASTER_PORT']} {sweep} {job} {cfg.seed}"
    (run_dir / f"{here.rank}.txt").write_text(note, encoding="utf-8")
    if cfg.seed == 2 and here.rank == 1:
        raise DataError("x.tsv:3: Expected a label.")
    if cfg.seed == 3 and here.rank == 1:
        os.abort()
    if here.rank == 0:
        (run_dir / "metrics.json").write_text('{"val/score": 0.5}', encoding="utf-8")
    return {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], train))
