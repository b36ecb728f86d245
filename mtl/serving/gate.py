"""What every request passes: a closing door, limits of its body, counts, headers of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtl.serving.errors import Refused
from mtl.serving.meters import Meters

HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
STATES = ("/health", "/ready", "/metrics")
"""Addresses that answer until the end."""
PATIENCE = 16_000_000
"""Bytes of a body that is too large which are read, so that its sender can read the answer."""
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
        """Answer a request whose body is not too large.

        One that is somewhat too large is read to its end, and forgotten: a client that still sends
        when the connection is closed would not see the answer.
        """
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self.most:
            if int(said) <= PATIENCE:
                await _forget(receive)
            await self._refused().response()(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                if message.get("more_body"):
                    await _forget(receive)
                raise self._refused()
            return message

        await self.app(scope, limited, send)

    def _refused(self) -> Refused:
        return Refused(413, f"Expected a body of at most {self.most:,} bytes, but got more.")


async def _forget(receive: Receive) -> None:
    """Read the rest of a body, as far as patience goes."""
    size = 0
    while size <= PATIENCE:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return
