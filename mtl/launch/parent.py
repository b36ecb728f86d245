"""The parent of a run of several processes on one machine.

It starts them, waits, passes signals on, and ends all when one fails. It trains nothing itself, so
nothing of one run is left in it for the next job of a sweep. Each process is told in a file what
the run is; none of them reads the command line again.

The parent holds the store through which the processes find each other, on a socket that the system
gave it: two runs cannot ask for one port. A process whose parent dies ends itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from mtl import errors
from mtl.errors import CheckpointError, Interrupted, MtlError, ProcessError
from mtl.launch.place import WORKER

if TYPE_CHECKING:
    from torch.distributed import TCPStore

JOB = "job.json"
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""After which a run saves and leaves."""
PASSED_ON = (
    *ENDING,
    *(getattr(signal, name) for name in ("SIGUSR2", "SIGCONT") if hasattr(signal, name)),
)
REPEAT = 1.0
"""Seconds in which another signal is the same one: launchers pass on what a terminal also sent."""
POLL = 0.05
GRACE = 10.0
"""Seconds that the others have, after one process failed, to fail for the same reason."""
PATIENCE = 1800.0
"""Seconds to end after a signal, before they are ended: a validation is finished first."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


@dataclass
class Ended:
    """How one process ended."""

    rank: int
    code: int
    report: dict[str, Any]
    """What it wrote down: ``kind``, ``message``, ``traceback``, ``when``; empty when killed."""
    ours: bool
    """Whether the parent ended it."""


def run_processes(
    config: Mapping[str, Any],
    run_dir: Path,
    count: int,
    script: Path,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run one training in `count` processes of this machine, and wait for its end.

    Args:
        config: The whole configuration as plain values.
        run_dir: The run's folder.
        count: Processes.
        script: Called with ``--worker FOLDER``; see :func:`mtl.launch.worker.work`.
        variables: More environment variables.

    Raises:
        MtlError: What a process raised.
        ProcessError: If one crashed or was killed; the others have been ended.
        KeyboardInterrupt: If the run was interrupted.
    """
    folder = Path(tempfile.mkdtemp(prefix=".processes-", dir=run_dir))
    try:
        job = {"config": config, "run_dir": str(run_dir)}
        (folder / JOB).touch(mode=0o600)  # A configuration may hold secrets.
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        store = _store()
        group = _Group([str(script), "--worker", str(folder)], folder)
        with group.signals():
            group.start(count, store.port, variables or {})
            ended = group.wait()
        _judge(ended, group.signal, run_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _store() -> TCPStore:
    """Return the store of a new group, on a port of this machine that is ours from the start."""
    from torch.distributed import TCPStore

    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.bind(("127.0.0.1", 0))
    door.listen(1024)
    port = door.getsockname()[1]
    return TCPStore(
        "127.0.0.1",
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=door.detach(),
        use_libuv=False,  # libuv's server would listen on a second socket
    )


class _Group:
    """The processes of one run."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.command = [sys.executable, *command]
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.signal: int | None = None
        """The latest ending signal that was passed on."""
        self._since = 0.0
        self.deadline: float | None = None
        """When they are told to end, and half a grace later ended."""
        self._told = False
        self._ours: set[int] = set()

    def start(self, count: int, port: int, variables: Mapping[str, str]) -> None:
        """Start all; only the first writes to the terminal."""
        for rank in range(count):
            log = None if rank == 0 else (self.folder / f"process-{rank}.log").open("wb")
            try:
                self.processes.append(
                    subprocess.Popen(
                        self.command,
                        env={**os.environ, **environment(rank, count, port), **variables},
                        stdin=subprocess.PIPE,  # Its end tells a child that the parent is gone.
                        stdout=log,
                        stderr=log and subprocess.STDOUT,
                        process_group=0,  # Ctrl-C comes once, through the parent.
                    )
                )
            finally:
                if log is not None:
                    log.close()

    def wait(self) -> list[Ended]:
        """Wait for all; after one has failed, end those that do not end by themselves."""
        try:
            while None in (codes := [p.poll() for p in self.processes]):
                if self.deadline is None and any(codes):
                    self.deadline = time.monotonic() + self._grace(codes)
                self._hurry()
                time.sleep(POLL)
        finally:
            for process in self.processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
                with contextlib.suppress(OSError):
                    assert process.stdin is not None
                    process.stdin.close()
        return [
            Ended(rank, p.returncode, self._report(rank), rank in self._ours)
            for rank, p in enumerate(self.processes)
        ]

    def _grace(self, codes: Sequence[int | None]) -> float:
        """Return how long the others may go on: not at all after a user's error, which is told."""
        failed = [rank for rank, code in enumerate(codes) if code]
        kinds = {self._report(rank).get("kind") for rank in failed}
        return 0.0 if kinds - {None, "crash", Interrupted.__name__} else GRACE

    def _hurry(self) -> None:
        """Tell those that are late to end, and then end them."""
        if self.deadline is None or time.monotonic() < self.deadline:
            return
        for rank, process in enumerate(self.processes):
            if process.poll() is None:
                self._ours.add(rank)
                process.kill() if self._told else process.terminate()
        self._told = True
        self.deadline = time.monotonic() + GRACE / 2

    def _report(self, rank: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{rank}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Pass signals on to the processes; a second one ends them at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        if number in ENDING:
            again = self.signal is not None and now - self._since >= REPEAT
            if self.signal is None:
                self._since, self.deadline = now, now + PATIENCE
            elif again:
                self.deadline = now
            self.signal = number
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """Return the variables of one process; the names are those of torchrun.

    Args:
        rank: Its number.
        count: All processes.
        port: Of the parent's store.
    """
    found = {
        WORKER: "1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "GROUP_RANK": "0",
        "NODE_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    usual = {"OMP_NUM_THREADS": str(max(1, (cores or 1) // count))}
    if sys.platform in LOOPBACK:
        usual["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    return {**{k: v for k, v in usual.items() if k not in os.environ}, **found}


def _judge(ended: Sequence[Ended], stopped_by: int | None, run_dir: Path) -> None:
    """Raise what the run ended with, if it did not end well: its first cause, once."""
    failed = [e for e in ended if e.code]
    if not failed:
        return
    left = [e.code for e in failed if e.report.get("kind") == Interrupted.__name__]
    if left:
        raise Interrupted(left[0])
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    told = [e for e in failed if e.report.get("kind") not in (None, "crash")]
    if told:
        first = min(told, key=lambda e: e.report["when"])
        kind = getattr(errors, str(first.report["kind"]), MtlError)
        raise kind(first.report["message"])
    if stopped_by is not None:
        raise SystemExit(max(e.code if e.code > 0 else 128 - e.code for e in failed))
    total = len(ended)
    killed = [e for e in failed if e.code < 0 and not e.ours]
    if killed:
        name = signal.Signals(-killed[0].code).name
        raise ProcessError(
            f"Process {killed[0].rank + 1} of {total} was ended by {name}, and so the others were "
            f"too.{_advice(name)} What was saved is in {run_dir}: continue with resume={run_dir}."
        )
    crashed = [e for e in failed if e.report]
    if crashed:
        first = min(crashed, key=lambda e: e.report["when"])
        print(first.report["traceback"], end="", file=sys.stderr, flush=True)
        raise ProcessError(f"Process {first.rank + 1} of {total}: {first.report['message']}")
    codes = ", ".join(f"{e.rank + 1} with {e.code}" for e in failed)
    raise ProcessError(f"Of {total} processes some ended and said nothing: {codes}.")


def _advice(name: str) -> str:
    if name == "SIGKILL":
        return " If memory ran out, lower `batching.tokens` or `trainer.devices`."
    return ""


def check_finished(run_dir: Path, file: str) -> dict[str, float]:
    """Return the metrics that the first process wrote.

    Raises:
        CheckpointError: If they are not there.
    """
    try:
        found: dict[str, float] = json.loads((run_dir / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{run_dir / file}: Expected the run's metrics, but {error}."
        ) from error
    return found
