"""One tiny run for all tests of the server, and clients."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from mtl.inference.predictor import RowPredictor
from mtl.serving.app import Serving, create_app
from mtl.serving.run import listen
from mtl.serving.settings import Limits, Settings
from tests.serving.runs import train_tiny


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    return train_tiny(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def model(served: Path) -> RowPredictor:
    """The run's model; the servers of tests answer with it one after the other."""
    return RowPredictor(served, "cpu")


@contextmanager
def client_of(
    model: RowPredictor, limits: Limits | None = None, **settings: Any
) -> Iterator[TestClient]:
    """Yield a client of a server within this process."""
    serving = Serving({"run": model}, Settings(limits or Limits(), **settings))
    serving.batcher.start()
    try:
        with TestClient(create_app(serving), raise_server_exceptions=False) as client:
            client.serving = serving  # type: ignore[attr-defined]
            yield client
    finally:
        serving.close()
        serving.batcher.join(10)


@contextmanager
def running(model: RowPredictor, **settings: Any) -> Iterator[str]:
    """Yield the address of a server in a thread of this process."""
    serving = Serving({"run": model}, Settings(**settings))
    bound = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(serving), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    serving.batcher.start()
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        bound.close()
        serving.close()
        serving.batcher.join(10)


@pytest.fixture
def client(model: RowPredictor) -> Iterator[TestClient]:
    """A client of a server with the usual settings."""
    with client_of(model) as found:
        yield found


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the server-sent events of an answer."""
    found = []
    for block in text.strip().split("\n\n"):
        kind, data = block.split("\n")
        values = json.loads(data.removeprefix("data: "))
        found.append((kind.removeprefix("event: "), values))
    return found
