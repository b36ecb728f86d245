"""Stands for ``train.py``: each process does what the configuration says for its rank."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mtl.errors import DataError, Interrupted
from mtl.launch.parent import ENDING, JOB
from mtl.launch.worker import work


def train(config: dict[str, Any], run_dir: Path) -> None:
    rank = os.environ["RANK"]
    print("process", rank, flush=True)
    (run_dir / f"{rank}.pid").write_text(f"{os.getpid()} {os.environ['MASTER_PORT']}")
    match config.get(rank, config.get("all")):
        case "look":
            (folder,) = run_dir.glob(".processes-*")
            modes = [oct(path.stat().st_mode & 0o777) for path in (folder, folder / JOB)]
            (run_dir / "modes").write_text(" ".join(modes))
        case "wrong":
            raise DataError("x.tsv:3: Expected a label.")
        case "crash":
            raise ValueError("boom")
        case "late crash":
            time.sleep(0.5)
            raise RuntimeError("a peer has gone")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "deaf":
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
        case "leave":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            time.sleep(600)
        case "save" | "save slowly" as how:
            signal.signal(signal.SIGUSR1, lambda *_: save(run_dir / f"{rank}.saved", how))
            time.sleep(600)


def save(target: Path, how: str) -> None:
    """Leave as a run does after a signal; perhaps later than the others."""
    time.sleep(2.5 if how == "save slowly" else 0)
    target.touch()
    raise Interrupted(138)


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[2]), train))
