"""Ports of this host for processes that meet there."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Hold a port that a store of PyTorch can listen on, and that the system gives nobody else.

    A port stays bound without listening; Linux then lets another socket that also allows reuse,
    as PyTorch's does, listen on it when it asks for this very port.
    """
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("", 0))
        yield int(door.getsockname()[1])
