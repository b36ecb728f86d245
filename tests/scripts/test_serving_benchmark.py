"""The load benchmark of the server, on a server that answers at once or refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from scripts.benchmarks import serving


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses that a server gives, one after the other; 0 is no answer at all."""
    statuses: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        status = statuses.pop(0)
        if not status:
            raise httpx.ReadError("gone")
        return httpx.Response(status, json={})

    client = httpx.AsyncClient

    def fake(**options: Any) -> httpx.AsyncClient:
        options.pop("limits")
        return client(**options, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(serving.httpx, "AsyncClient", fake)
    return statuses


def test_a_level_counts_how_requests_end(answers: list[int]) -> None:
    sent = len(asyncio.run(counted(answers)))
    answers[:] = [200] * (sent - 4) + [429, 429, 429, 0]
    found = serving.level("mtl", "http://server", [{}], rate=200, seconds=0.2)
    assert found.refused == pytest.approx(3 / sent)
    assert found.failed == 1
    assert found.answered > 0
    assert found.p50 <= found.p95 <= found.p99
    assert "1 failed" in serving.shown(found)


async def counted(answers: list[int]) -> list[Any]:
    answers[:] = [200] * 1000
    *ended, _ = await serving.load("http://server", [{}], 200, 0.2)
    return ended


def test_a_level_without_answers(answers: list[int]) -> None:
    answers[:] = [429] * 1000
    found = serving.level("mtl", "http://server", [{}], rate=200, seconds=0.1)
    assert (found.refused, found.answered, found.failed) == (1.0, 0.0, 0)
