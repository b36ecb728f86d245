"""The parent of a run of several processes on one machine, over PyTorch's elastic launcher.

The launcher starts the processes, ends them all when one ends early, and starts them again where
`trainer.max_restarts` allows it. This adds what it leaves open: the run is handed over in a file
that nobody else may read, one cause is told once, and a second Ctrl-C ends everything.
The parent trains nothing itself, so nothing of one run is left in it for the next job of a sweep.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from mtl import errors
from mtl.config.section import Values
from mtl.errors import Interrupted, MtlError, ProcessError
from mtl.launch.place import WORKER
from mtl.launch.reports import CRASH, DONE, JOB, Report, log_file, read_reports

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""After which a run saves and leaves."""
REPEAT = 1.0
"""Seconds in which another signal is the same one: launchers pass on what a terminal also sent."""
PATIENCE = 1800
"""Seconds to end after a signal, before they are ended: a validation is finished first."""
LAUNCHER_KILLS_AFTER = 30
"""Seconds that the launcher gives the others after one has ended early; fixed in PyTorch."""
LAUNCHER_SIGNALS = "TORCHELASTIC_SIGNALS_TO_HANDLE"
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
LOG_LINES = 20
"""Of what a process wrote that has no terminal, shown after a crash."""
OUT_OF_MEMORY = " If memory ran out, lower `batching.tokens` or `trainer.devices`."


def run_processes(
    config: Values,
    run_dir: Path,
    count: int,
    worker: Sequence[str],
    variables: Mapping[str, str] | None = None,
    max_restarts: int = 0,
) -> None:
    """Run one training in `count` processes of this machine, and wait for its end.

    Args:
        config: The whole configuration as plain values.
        run_dir: The run's folder.
        count: Processes.
        worker: What Python is given for a process, before ``--worker FOLDER``; see
            :func:`mtl.launch.worker.work`.
        variables: More environment variables.
        max_restarts: How often all may start again after one has crashed or was killed.

    Raises:
        MtlError: What a process raised.
        ProcessError: If one crashed or was killed; the others have been ended.
        KeyboardInterrupt: If the run was interrupted.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    from mtl.launch.elastic import launch

    _silence_launcher()
    folder = Path(tempfile.mkdtemp(prefix=".processes-", dir=run_dir))
    failures: Mapping[int, ProcessFailure] = {}
    heard: list[int] = []
    try:
        _write_job(folder, config, run_dir, {**environment(count), **(variables or {})})
        with contextlib.suppress(SignalException), _signals(folder, heard):
            launch([*worker, "--worker", str(folder)], folder, count, max_restarts, PATIENCE)
    except ChildFailedError as error:
        failures = error.failures
    finally:
        os.environ.pop(LAUNCHER_SIGNALS, None)
        reports = read_reports(folder, count)
        logs = {rank: _log(folder, rank) for rank in range(count)}
        shutil.rmtree(folder, ignore_errors=True)
    _judge(reports, heard)
    if failures:
        left = f" No restart is left (trainer.max_restarts={max_restarts})." if max_restarts else ""
        saved = f"{left} What was saved is in {run_dir}: continue with resume={run_dir}."
        _judge_crash(reports, failures, logs, saved)


def _write_job(folder: Path, config: Values, run_dir: Path, variables: Mapping[str, str]) -> None:
    (folder / JOB).touch(mode=0o600)  # A configuration may hold secrets.
    parent = {"parent": os.getpid(), "variables": variables}
    job = {"config": config, "run_dir": str(run_dir), **parent}
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def environment(count: int) -> dict[str, str]:
    """Return the variables that each of `count` processes sets, beside the launcher's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    usual = {"OMP_NUM_THREADS": str(max(1, (cores or 1) // count))}
    if sys.platform in LOOPBACK:
        usual["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    return {WORKER: "1", **{k: v for k, v in usual.items() if k not in os.environ}}


def _silence_launcher() -> None:
    """Keep the launcher's own account of what happens off the terminal."""
    for name in ("torch.distributed.elastic", "torchelastic-events-null"):
        log = logging.getLogger(name)
        log.propagate = False
        if not log.handlers:
            log.addHandler(logging.NullHandler())


@contextlib.contextmanager
def _signals(folder: Path, heard: list[int]) -> Iterator[None]:
    """Have the launcher pass a signal on and wait; a later one ends the processes at once."""
    from torch.distributed.elastic.multiprocessing import SignalException

    since = 0.0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if not heard:
            since = time.monotonic()
            heard.append(number)
            raise SignalException("", signal.Signals(number))
        if time.monotonic() - since >= REPEAT:
            heard.append(number)
            (folder / JOB).unlink(missing_ok=True)

    with handling(hear):
        yield


@contextlib.contextmanager
def handling(hear: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a function handle the signals that end a run; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hear) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _judge(reports: Mapping[int, Report], heard: list[int]) -> None:
    """Raise what the run ended with, if a process or a signal says so: its first cause, once."""
    kinds = {report.kind for report in reports.values()}
    if kinds == {DONE}:
        return
    by_time = sorted(reports.values(), key=lambda report: report.when)
    for report in by_time:
        if report.kind == Interrupted.__name__:
            raise Interrupted(int(report.problems[0]))
    if signal.SIGINT in heard:
        raise KeyboardInterrupt
    for report in by_time:
        if report.is_users:
            raise getattr(errors, report.kind, MtlError)(*report.problems)
    if heard:
        raise SystemExit(128 + heard[-1])


def _judge_crash(
    reports: Mapping[int, Report],
    failures: Mapping[int, ProcessFailure],
    logs: Mapping[int, str],
    saved: str,
) -> None:
    """Raise what ended a run that neither a user's mistake nor a signal did."""
    until = min(f.timestamp for f in failures.values()) + LAUNCHER_KILLS_AFTER
    own = [f for f in failures.values() if f.exitcode != -signal.SIGTERM and f.timestamp < until]
    killed = [failure for failure in own if failure.exitcode < 0]
    if killed:
        rank, name = killed[0].local_rank, signal.Signals(-killed[0].exitcode).name
        advice = OUT_OF_MEMORY if name == "SIGKILL" else ""
        sys.stderr.write(logs[rank])
        raise ProcessError(
            f"Process {rank + 1} of {len(logs)} was ended by {name}, and so the others were "
            f"too.{advice}{saved}"
        )
    crashed = {rank: report for rank, report in reports.items() if report.kind == CRASH}
    if crashed:
        rank = min(crashed, key=lambda rank: crashed[rank].when)
        sys.stderr.write(crashed[rank].traceback)
        raise ProcessError(f"Process {rank + 1} of {len(logs)}: {crashed[rank].problems[0]}")
    sys.stderr.write("".join(logs.values()))
    codes = ", ".join(f"{rank + 1} with {f.exitcode}" for rank, f in failures.items())
    raise ProcessError(f"Of {len(logs)} processes some ended and said nothing: {codes}.")


def _log(folder: Path, rank: int) -> str:
    file = log_file(folder, rank)
    text = file.read_text("utf-8", "replace") if file.exists() else ""
    return "".join(text.splitlines(keepends=True)[-LOG_LINES:])
