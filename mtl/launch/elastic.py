"""PyTorch's elastic launcher for processes of one machine."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.distributed import TCPStore
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.rendezvous import (
    RendezvousInfo,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mtl.launch.reports import CRASH, DONE, clear_reports, read_reports

BACKEND = "mtl"
HOST = "127.0.0.1"


class _Final(Exception):
    """Processes that failed are not to start again."""


class OneMachine(StaticTCPRendezvous):
    """Where the processes find each other: a new store for each start, on this machine only.

    The launcher asks for it before every start, so this is also where another start is refused.

    Args:
        folder: Where the processes write how they ended.
        count: Processes.
        max_restarts: How often they may start again.
    """

    def __init__(self, folder: Path, count: int, max_restarts: int) -> None:
        super().__init__(HOST, 0, rank=0, world_size=1, run_id=folder.name.strip("."), timeout=60)
        self.folder = folder
        self.count = count
        self.max_restarts = max_restarts
        self.starts = 0

    def get_backend(self) -> str:
        """Return the name under which the launcher knows this."""
        return BACKEND

    def next_rendezvous(self) -> RendezvousInfo:
        """Return a new store on a port that the system chose.

        Raises:
            _Final: After a user's mistake, or where a signal ended the processes.
        """
        if self.starts:
            self._clear()
        self.starts += 1
        store = _store()
        return RendezvousInfo(store, 0, 1, RendezvousStoreInfo(HOST, store.port))

    def _clear(self) -> None:
        reports = read_reports(self.folder, self.count)
        if any(report.kind not in (DONE, CRASH) for report in reports.values()):
            raise _Final
        crashes = [f" ({r.problems[0]})" for r in reports.values() if r.kind == CRASH]
        sys.stderr.write(
            f"a process ended early{crashes[0] if crashes else ''}: all start again and go on from "
            f"the last checkpoint (restart {self.starts} of {self.max_restarts})\n"
        )
        clear_reports(self.folder, self.count)


def _store() -> TCPStore:
    door = socket.create_server((HOST, 0), backlog=1024)
    port = door.getsockname()[1]
    return TCPStore(
        HOST,
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=door.detach(),
        use_libuv=False,  # libuv's server would listen on a second socket
    )


rendezvous_handler_registry.register(BACKEND, lambda parameters: parameters.config["handler"])


def launch(
    arguments: Sequence[str], folder: Path, count: int, max_restarts: int, patience: float
) -> None:
    """Run Python in processes of this machine.

    Args:
        arguments: Of each.
        folder: Where the processes write how they ended.
        count: Processes.
        max_restarts: How often all may start again after one has ended early.
        patience: Seconds that they have to end after a signal.

    Raises:
        ChildFailedError: If one ended early too often, and not with what would come again.
        SignalException: From this process's handlers of signals; it has been passed on.
    """
    handler = OneMachine(folder, count, max_restarts)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=handler.get_run_id(),
        rdzv_backend=BACKEND,
        rdzv_endpoint=HOST,
        rdzv_configs={"handler": handler},
        local_addr=HOST,
        max_restarts=max_restarts,
        monitor_interval=0.1,
        signals_to_handle="",
        shutdown_timeout=patience,  # type: ignore[arg-type]
        logs_specs=DefaultLogsSpecs(str(folder)),
    )
    with contextlib.suppress(_Final):
        elastic_launch(config, sys.executable)(*arguments)
