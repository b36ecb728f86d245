"""Stands for ``train.py``: each process does what the configuration says for its rank."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mtl.errors import DataError, Interrupted
from mtl.launch import worker
from mtl.launch.parent import ENDING
from mtl.launch.reports import JOB


def train(config: dict[str, Any], run_dir: Path) -> None:
    rank = os.environ["RANK"]
    print("process", rank, flush=True)
    attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    (run_dir / f"{rank}.start-{attempt}").write_text(str(config.get("resume")))
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
        case "once" | "crash once" as how if attempt == 0:
            time.sleep(0.3)
            (run_dir / "checkpoints").mkdir(exist_ok=True)
            (run_dir / "checkpoints" / "last.ckpt").touch()
            os.kill(os.getpid(), signal.SIGKILL) if how == "once" else print(1 / 0)
        case "abort":
            print("what the library said", file=sys.stderr, flush=True)
            os.abort()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "hang once" if attempt == 0:
            time.sleep(600)
        case "leave now":
            raise Interrupted(143)
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
    worker.GRACE = 3.0
    sys.exit(worker.work(Path(sys.argv[2]), train))
