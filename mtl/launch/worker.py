"""One process of a run that a parent started (:mod:`mtl.launch.parent`)."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mtl.config.section import Values
from mtl.errors import EXIT_CODE, Interrupted, MtlError
from mtl.launch.reports import CRASH, DONE, JOB, Report, log_file, read_reports, write_report

CRASHED, INTERRUPTED = 1, 130
LOOK = 0.2
"""Seconds between two looks whether the parent is there and wants this process to go on."""
GRACE = 10.0
"""Seconds that the first process has, after a signal, to finish what only it writes."""

Train = Callable[[Values, Path], object]


def work(folder: Path, train: Train) -> int:
    """Do a run's part of one process; return the exit code.

    How it ended is written down for the parent, which shows an error once for all. Processes that
    were started again go on from the run's last checkpoint.
    """
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    os.environ.update(job["variables"])
    threading.Thread(target=_watch_parent, args=[folder, job["parent"]], daemon=True).start()
    rank = int(os.environ["RANK"])
    if rank:
        _write_to(log_file(folder, rank))
    config, run_dir = job["config"], Path(job["run_dir"])
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    if restarted and (run_dir / "checkpoints" / "last.ckpt").is_file():
        config["resume"] = str(run_dir)
    code, report = _train(train, config, run_dir)
    if report is not None:
        write_report(folder, rank, report)
        if report.kind == Interrupted.__name__ and rank:
            _wait_for_first(folder)
    if code:
        # Not the ordinary way out: what waits for the other processes there may wait for ever.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return 0


def _train(train: Train, config: Values, run_dir: Path) -> tuple[int, Report | None]:
    """Return the exit code, and what to write down."""
    try:
        train(config, run_dir)
    except MtlError as error:
        return EXIT_CODE, Report(type(error).__name__, [str(p) for p in error.problems])
    except KeyboardInterrupt:
        return INTERRUPTED, None
    except Interrupted as stop:
        return int(str(stop.code)), Report(type(stop).__name__, [str(stop.code)])
    except SystemExit as stop:
        return _exit_code(stop), None
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return CRASHED, Report(CRASH, [message], traceback.format_exc())
    return 0, Report(DONE)


def _exit_code(stop: SystemExit) -> int:
    if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns one into an exit.
        return INTERRUPTED
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _write_to(file: Path) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _wait_for_first(folder: Path) -> None:
    """Let the first process finish: the launcher ends the others as soon as one has ended."""
    until = time.monotonic() + GRACE
    while not read_reports(folder, 1) and time.monotonic() < until:
        time.sleep(LOOK)


def _watch_parent(folder: Path, parent: int) -> None:
    """End this process, and remove what it was told, when its parent is gone or says so.

    A launcher that is killed leaves its processes running.
    """
    while os.getppid() == parent and (folder / JOB).exists():
        time.sleep(LOOK)
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(CRASHED)
