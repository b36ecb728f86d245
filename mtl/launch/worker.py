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
from typing import Any

from mtl.errors import EXIT_CODE, Interrupted, MtlError
from mtl.launch.parent import JOB

CRASHED, INTERRUPTED = 1, 130

Train = Callable[[dict[str, Any], Path], object]


def work(folder: Path, train: Train) -> int:
    """Do a run's part of one process; return the exit code.

    An error is written down for the parent, which shows it once for all.

    Args:
        folder: Where the parent wrote what the run is.
        train: Trains from a plain configuration in the run's folder.
    """
    threading.Thread(target=_watch_parent, args=[folder], daemon=True).start()
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    code = 0
    try:
        train(job["config"], Path(job["run_dir"]))
    except MtlError as error:
        _report(folder, type(error).__name__, str(error))
        code = EXIT_CODE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Interrupted as stop:
        code = int(str(stop.code))
        _report(folder, type(stop).__name__, str(code))
    except SystemExit as stop:
        code = _exit_code(stop)
    except Exception as error:
        _report(folder, "crash", f"{type(error).__name__}: {error}", traceback.format_exc())
        code = CRASHED
    if code:
        # Not the ordinary way out: what waits for the other processes there may wait for ever.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _leave_group()
    return 0


def _exit_code(stop: SystemExit) -> int:
    if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns one into an exit.
        return INTERRUPTED
    return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _leave_group() -> None:
    """Leave the process group in good order, if this process has joined one."""
    if "torch.distributed" in sys.modules:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def _report(folder: Path, kind: str, message: str, trace: str = "") -> None:
    """Write down how this process failed, whole or not at all."""
    found = {"kind": kind, "message": message, "traceback": trace, "when": time.time()}
    target = folder / f"{os.environ['RANK']}.json"
    beside = target.with_suffix(".part")
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.replace(target)


def _watch_parent(folder: Path) -> None:
    """End this process, and remove what the parent wrote for it, when the parent is gone."""
    while os.read(0, 1):  # Unbuffered: a thread that holds a lock of Python would bar its exit.
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(CRASHED)
