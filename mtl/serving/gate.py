"""What every request passes: a closing door, limits of its body, counts, headers of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtl.serving.errors import Refused
from mtl.serving.meters import Meters

HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
STATES = ("/health", "/ready", "/metrics")
"""Addresses that answer until the end."""
OTHER = "other"
"""What addresses that are none of ours are counted under."""


def closed() -> Refused:
    """Return what is said while the server ends."""
    return Refused(503, "The server is closing.", {"Retry-After": "5"})


class Gate:
    """Counts requests and refuses bodies that are too large.

    Args:
        app: What answers.
        meters: Count.
        most: Bytes of a body.
        paths: The addresses that are counted by their names.
        closing: Whether nothing new is taken; what has come in until then is answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        meters: Meters,
        most: int,
        paths: Iterable[str],
        closing: Callable[[], bool],
    ) -> None:
        self.app = app
        self.closing = closing
        self.meters = meters
        self.most = most
        self.paths = set(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self.paths else OTHER
        with self.meters.request(path) as status:

            async def counted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status.append(message["status"])
                    message["headers"] = [*message.get("headers", []), *HEADERS]
                await send(message)

            if self.closing() and path not in STATES:
                await closed().response()(scope, receive, counted)
            else:
                await self._within(scope, receive, counted)

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose body is not too large."""
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self.most:
            await self._too_large()(scope, receive, send)
            return
        size = 0

        async def limited() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                raise self._refused()
            return message

        await self.app(scope, limited, send)

    def _refused(self) -> Refused:
        return Refused(413, f"Expected a body of at most {self.most:,} bytes, but got more.")

    def _too_large(self) -> ASGIApp:
        return self._refused().response()
