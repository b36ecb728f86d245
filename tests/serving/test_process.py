"""A server as a process of its own: told to end, and killed, while it answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.conftest import read_events
from tests.serving.runs import TEXTS

pytestmark = pytest.mark.slow
BODY: dict[str, Any] = {"texts": TEXTS * 8, "questions": ["Who left?"]}
LOAD = 8
"""Clients at once."""


@contextmanager
def process(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a server's process and its address."""
    command = [sys.executable, "-m", "mtl.cli", "serve", str(run), "--port", "0", "--device", "cpu"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            line = next(line for line in server.stderr if "http://" in line)
            yield server, next(word for word in line.split() if word.startswith("http://"))
        finally:
            server.kill()


def ask(address: str, *, stream: bool) -> tuple[str, Any]:
    """Return how a request ended: whole, refused, broken, or never begun."""
    try:
        found = httpx.post(f"{address}/v1/predict", json={**BODY, "stream": stream}, timeout=60)
    except httpx.ConnectError:
        return "never begun", None
    except httpx.TransportError:
        return "broken", None
    if found.status_code != 200:
        return "refused", found.status_code
    if not stream:
        return "whole", json.loads(found.text)["results"]
    kinds = [kind for kind, _ in read_events(found.text)]
    return ("whole" if kinds[-1] == "done" else "broken"), kinds


def under_load(server: subprocess.Popen[str], address: str, end: int) -> list[tuple[str, Any]]:
    """Return how requests end that are open, or begun later, when a signal comes."""
    with ThreadPoolExecutor(LOAD) as pool:
        first = [pool.submit(ask, address, stream=n % 2 == 1) for n in range(LOAD)]
        while "mtl_open_requests 9.0" not in httpx.get(f"{address}/metrics", timeout=30).text:
            if all(one.done() for one in first):
                first = [pool.submit(ask, address, stream=n % 2 == 1) for n in range(LOAD)]
        server.send_signal(end)
        later = [pool.submit(ask, address, stream=n % 2 == 1) for n in range(LOAD)]
        return [one.result(120) for one in [*first, *later]]


def test_a_server_that_is_told_to_end_finishes_what_it_took(served: Path) -> None:
    with process(served) as (server, address):
        found = under_load(server, address, signal.SIGTERM)
        assert server.wait(60) == 0
    assert {kind for kind, _ in found} <= {"whole", "refused", "never begun"}
    assert [kind for kind, _ in found[:LOAD]] == ["whole"] * LOAD
    assert all(status == 503 for kind, status in found if kind == "refused")


def test_a_server_that_is_killed_leaves_nothing_that_looks_whole(served: Path) -> None:
    with process(served) as (server, address):
        found = under_load(server, address, signal.SIGKILL)
        server.wait(60)
    assert any(kind in ("broken", "never begun") for kind, _ in found)
    for kind, what in found:
        if kind == "whole" and isinstance(what[0], dict):
            assert len(what) == len(BODY["texts"])
        elif kind == "whole":
            assert what.count("done") == 1
