"""A server on this machine that stands for a part of W&B's, and keeps what it is sent.

It answers as W&B does where a run begins (who is logged in, a run is made), streams its history and
summary, uploads files and ends. It does not stand for artifacts (which tables and models are
online), for workspaces and reports, or for what W&B checks, limits and shows.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """What the server was sent."""

    address: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The variables of each request that makes or changes a run."""
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    """By streamed file: lines by number."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Uploaded files."""
    exit_code: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of the run's history."""
        found = self.lines.get("wandb-history.jsonl", {})
        return [json.loads(found[number]) for number in sorted(found)]

    def stream(self, sent: dict[str, Any]) -> None:
        """Take a request of the file stream."""
        for name, part in (sent.get("files") or {}).items():
            lines = self.lines.setdefault(name, {})
            lines.update(enumerate(part["content"], start=part.get("offset", 0)))
        if sent.get("complete"):
            self.exit_code = sent.get("exitcode")
            self.ended.set()

    def answer(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return what W&B's GraphQL interface answers."""
        if name == "UpsertBucket":
            self.runs.append(variables)
            project = {"id": "p", "internalId": "1", "name": variables.get("project")}
            project["entity"] = {"id": "e", "name": "me"}
            run = {"id": "r", "name": variables.get("name"), "config": "{}", "project": project}
            empty = {"historyLineCount": 0, "logLineCount": 0, "eventsLineCount": 0}
            return {"upsertBucket": {"bucket": {**run, **empty}, "inserted": True}}
        if name == "Viewer":
            someone = {"id": "u", "entity": "me", "username": "me", "email": "me@example.org"}
            return {"viewer": {**someone, "admin": False, "flags": "{}", "teams": {"edges": []}}}
        if name == "CreateRunFiles":
            files = [
                {"name": file, "uploadUrl": f"{self.address}/upload/{file}"}
                for file in variables["files"]
            ]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        return {"serverInfo": {"features": []}} if "ServerFeatures" in name else {}


@contextmanager
def server() -> Iterator[Received]:
    """Serve on a free port of this machine."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._reply({})

        def do_PUT(self) -> None:
            received.files[self.path.removeprefix("/upload/")] = self._body()
            self._reply({})

        def do_POST(self) -> None:
            body = self._body()
            if self.path == "/graphql":
                sent = json.loads(body)
                named = re.search(r"(?:query|mutation)\s+(\w+)", sent["query"])
                data = received.answer(named[1] if named else "", sent.get("variables") or {})
                self._reply({"data": data})
            else:
                if self.path.endswith("/file_stream"):
                    received.stream(json.loads(body))
                self._reply({"exitcode": None, "limits": {}})

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            packed = self.headers.get("Content-Encoding") == "gzip"
            return gzip.decompress(body) if packed else body

        def _reply(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        received.address = f"http://127.0.0.1:{serving.server_port}"
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        try:
            yield received
        finally:
            serving.shutdown()
            thread.join()
