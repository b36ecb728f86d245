"""A request's way through the batcher: as one answer, or as events while it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mtl.config.section import Values
from mtl.serving.batcher import Batcher, Job
from mtl.serving.errors import Refused
from mtl.serving.output import event
from mtl.serving.requests import Asked

EVENTS = ("answer", "piece", "done", "error")
"""The kinds of events of a stream; the last one is ``done`` or ``error``."""
Told = tuple[str, Any]
"""A kind of event, and what it says."""


def submit(asked: Asked, batcher: Batcher, *, stream: bool) -> tuple[Job, asyncio.Queue[Told]]:
    """Hand a request to the model's thread.

    Returns:
        Its job, and what will be told of it here, in the event loop.

    Raises:
        Refused: If too much waits, or the server is closing.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Queue[Told]()

    def tell(kind: str, what: object) -> None:
        loop.call_soon_threadsafe(told.put_nowait, (kind, what))

    job = Job(
        asked.model,
        asked.rows,
        done=lambda found: tell("done", found),
        failed=lambda error: tell("error", error),
        answer=(lambda *one: tell("answer", one)) if stream else None,
        piece=(lambda *one: tell("piece", one)) if stream else None,
    )
    batcher.submit(job)
    return job, told


async def whole(asked: Asked, batcher: Batcher) -> Values:
    """Return the answer of a request.

    Raises:
        Refused: If it cannot be answered.
    """
    job, told = submit(asked, batcher, stream=False)
    try:
        kind, what = await told.get()
    finally:
        job.dropped = True
    if kind == "error":
        raise what
    return asked.answer(what)


async def events(job: Job, told: asyncio.Queue[Told], asked: Asked) -> AsyncIterator[bytes]:
    """Yield server-sent events: ``answer`` and ``piece``, at last ``done`` or ``error``.

    A client that has seen no ``done`` has no whole answer.
    """
    try:
        while True:
            kind, what = await told.get()
            if kind == "answer":
                row, task, values = what
                if "error" not in values:
                    yield event("answer", asked.part(row, task, values))
            elif kind == "piece":
                row, task, piece = what
                yield event("piece", {**asked.place(row, task), "piece": piece})
            else:
                yield _last(kind, what, asked)
                return
    finally:
        job.dropped = True


def _last(kind: str, what: Any, asked: Asked) -> bytes:
    try:
        if kind == "error":
            raise what
        return event("done", asked.answer(what))
    except Refused as error:
        return event("error", error.body())
