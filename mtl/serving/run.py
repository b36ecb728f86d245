"""Listening, and ending without leaving anybody half answered."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from mtl.errors import ConfigError, Problem
from mtl.serving.app import Serving, create_app

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that clients may come to.

    Raises:
        ConfigError: If the address is not one of this machine's, or taken.
    """
    expected = "to be an address of this machine"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(Problem("--host", expected, f"got '{host}': {error.strerror}")) from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            advice = "0.0.0.0 listens on all that it has."
            raise ConfigError(Problem("--host", expected, f"got '{host}'", advice)) from error
        advice = "Choose another, or 0 for any."
        found_ = f"got {port} on '{host}': {reason}"
        raise ConfigError(Problem("--port", "to be free", found_, advice)) from error
    return bound


class Server(uvicorn.Server):
    """Takes no new requests after a signal, and ends when those that it took are answered.

    A second signal ends it at once.

    Args:
        config: Of uvicorn.
        serving: What answers.
    """

    def __init__(self, config: uvicorn.Config, serving: Serving) -> None:
        super().__init__(config)
        self.serving = serving
        self._until = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        del sig, frame
        if self.serving.closing:
            self.should_exit = self.force_exit = True
            return
        self._until = time.monotonic() + self.serving.settings.drain
        # Not from within the signal's handler, which may have stopped a thread that holds a lock.
        self.serving.closing = True

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether all is answered."""
        if self.serving.closing and (not self.serving.busy or time.monotonic() > self._until):
            self.should_exit = True
        return await super().on_tick(counter)


def serve(serving: Serving, bound: socket.socket, ready: Callable[[str], object]) -> None:
    """Answer requests until a signal comes.

    Args:
        serving: Models and settings.
        bound: Where clients come to.
        ready: Told the address once they may.
    """
    host, port = bound.getsockname()[:2]
    config = uvicorn.Config(
        create_app(serving),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(serving.settings.drain)),
    )
    serving.batcher.start()
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{port}")
    try:
        Server(config, serving).run(sockets=[bound])
    finally:
        serving.close()
        serving.batcher.join(serving.settings.drain)
