"""What a request is refused with: a status and one sentence, in one JSON shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from starlette.exceptions import HTTPException

from mtl.config.section import Values
from mtl.errors import MtlError, printable
from mtl.serving.output import to_json
from mtl.serving.schemas import ErrorAnswer

STATUSES = {
    401: "No key, or a wrong one.",
    404: "There is no such model, or no such address.",
    405: "The address takes another method.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request cannot be answered, and why.",
    429: "Too much waits already; try again after the seconds in `Retry-After`.",
    500: "A fault of the server.",
    503: "The server is closing.",
}
"""What each status of an error means."""


class Refused(HTTPException):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        message: One sentence.
        headers: Of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, headers)

    def body(self) -> Values:
        """Return the answer's JSON values."""
        return {"error": {"status": self.status_code, "message": self.detail}}

    def response(self) -> Response:
        """Return the answer."""
        return Response(to_json(self.body()), self.status_code, self.headers, "application/json")


def refused(error: MtlError) -> Refused:
    """Return what a user's mistake is answered with."""
    return Refused(422, printable(error))


def described(*statuses: int) -> dict[int | str, Values]:
    """Return the errors of an endpoint, for its OpenAPI page."""
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": STATUSES[status]} for status in statuses
    }
    for status in (429, 503):
        if status in found:
            seconds = {"schema": {"type": "integer"}, "description": "Seconds."}
            found[status]["headers"] = {"Retry-After": seconds}
    return found
