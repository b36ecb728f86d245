"""Send a server requests of every kind, and look at each answer and at its memory.

    python scripts/fuzz_server.py [RUN] [--requests 10000] [--seed 0]

Without a RUN, a tiny one is trained first.

Kinds of requests, by turns: what schemathesis makes of the OpenAPI page, right by its schema and
wrong; bodies that were broken by hand and at random; right requests whose answers another process
has given; and the same as streams, of which half are broken off in the middle. An answer is right,
or a 4xx with a reason; there is no 5xx. At last the server is killed under a load of streams: what
ends with `done` is whole and right.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PREDICT = "/v1/predict"
JSON = {"content-type": "application/json"}
CLIENTS = 8
WARM = 0.25
"""Share of the requests before memory is looked at."""
HALF = "\ufffd"
"""What stands at a text's end for bytes that are no whole character; no piece has it."""
GROWTH = 1.05
"""How much more memory than then the server may have at the end."""
WORDS = [
    *("Ines", "Talbot", "left", "Brackwater", "before", "the", "rain", "and", "nobody", "asked"),
    *("日本語", "Zoë", "🙂", "\u202e", "a\u0301", "1,204", "<b>", "&amp;", "\t", "\x00", "''", "“"),
]


@dataclass
class Found:
    """What was seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    """By kind of request and status."""
    faults: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """KiB of the server."""

    def look(self, kind: str, response: Any, expected: Any = None) -> None:
        """Look at one answer."""
        status = response.status_code
        self.statuses[f"{kind} {status}"] += 1
        fault = wrong(status, response.content, expected)
        if fault is not None:
            self.faults.append(f"{kind}: {fault}")

    @property
    def grown(self) -> float:
        """How much more memory the server has at the end than once it was warm."""
        warm = self.memory[int(len(self.memory) * WARM)] if self.memory else 1
        return self.memory[-1] / warm if self.memory else 1.0


def wrong(status: int, content: bytes, expected: Any = None) -> str | None:
    """Return what is wrong with an answer; None if nothing is."""
    if status >= 500:
        return f"status {status}: {content[:200]!r}"
    if status >= 400:
        error = json.loads(content)["error"]
        reason = error["message"]
        good = error["status"] == status and isinstance(reason, str) and len(reason) > 10
        return None if good else f"status {status} without a reason: {content[:200]!r}"
    if expected is not None and summary(json.loads(content)["results"]) != expected:
        return f"another answer than alone: {content[:300]!r}"
    return None


def summary(results: list[dict[str, Any]]) -> list[Any]:
    """Return what is decided in results: labels, places and texts, no probabilities."""
    return [_decided(one) for one in results]


def _decided(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("score", "probabilities", "n_best", "value")
        return {key: _decided(item) for key, item in value.items() if key not in left_out}
    return [_decided(item) for item in value] if isinstance(value, list) else value


@contextmanager
def server(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Yield a server's process and its address."""
    command = [sys.executable, "-m", "mtl.cli", "serve", str(run), "--port", "0", *options]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("w") as out, subprocess.Popen(command, cwd=ROOT, stderr=out) as process:
            try:
                while not (found := re.search(r"http://\S+", said.read_text("utf-8"))):
                    if process.poll() is not None:
                        raise RuntimeError(f"The server ended: {said.read_text('utf-8')}")
                    time.sleep(0.2)
                yield process, found[0]
            finally:
                process.terminate()
                process.wait(60)
                sys.stderr.write(said.read_text("utf-8"))


def memory_of(process: subprocess.Popen[bytes]) -> int:
    """Return how much memory a process has, in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


# ----------------------------------------------------------------------------- streams

Event = tuple[str, dict[str, Any]]


def stream(client: httpx.Client, body: dict[str, Any], most: int | None = None) -> list[Event]:
    """Return the events of a request that is answered as a stream.

    Args:
        client: Of the server.
        body: The request.
        most: After so many the connection is closed; what was seen is returned, as it is where the
            server goes away.
    """
    found: list[Event] = []
    kind = ""
    try:
        with client.stream("POST", PREDICT, json={**body, "stream": True}) as response:
            if response.status_code != 200:
                return [(str(response.status_code), json.loads(response.read()))]
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    found.append((kind, json.loads(value)))
                    if len(found) == most:
                        break
    except httpx.TransportError:
        pass
    return found


def wrong_stream(events: list[Event], expected: list[Any], *, whole: bool) -> str | None:
    """Return what is wrong with the stream of a right request; None if nothing is.

    Args:
        events: What was seen of it.
        expected: What the answer decides.
        whole: Whether it has to have ended.
    """
    kinds = [kind for kind, _ in events]
    if set(kinds) - {"answer", "piece", "done"} or "done" in kinds[:-1]:
        return f"events {kinds}"
    if "done" not in kinds:
        return f"no `done` among {kinds}" if whole else None
    results = events[-1][1]["results"]
    if summary(results) != expected:
        return f"another answer than alone: {results}"
    pieces: dict[tuple[int, str], str] = {}
    for kind, told in events[:-1]:
        own = results[told["text"]][told["task"]]
        if kind == "answer" and _decided(told["answer"]) != _decided(own):
            return f"an event says {told}, and `done` {own}"
        if kind == "piece":
            key = told["text"], told["task"]
            pieces[key] = pieces.get(key, "") + told["piece"]
    for (text, task), written in pieces.items():
        rest = results[text][task]["text"].removeprefix(written)
        if rest.replace(HALF, "").strip():
            return f"pieces {written!r} of {results[text][task]}"
    return None


Known = tuple[dict[str, Any], list[Any]]


def killed(process: subprocess.Popen[bytes], address: str, known: list[Known]) -> list[str]:
    """Kill a server while it streams; returns what is wrong with what its clients have seen."""
    with httpx.Client(base_url=address, timeout=120) as client, ThreadPoolExecutor(CLIENTS) as pool:
        seen = [(pool.submit(stream, client, body), expected) for body, expected in known]
        while not any(job.done() for job, _ in seen):
            time.sleep(0.01)
        process.kill()
        ends = [(job.result(), expected) for job, expected in seen]
    faults = [wrong_stream(events, expected, whole=False) for events, expected in ends if events]
    cut = sum(not events or events[-1][0] != "done" for events, _ in ends)
    none = [] if cut else ["every stream ended before the server was killed"]
    return [f"killed: {fault}" for fault in [*faults, *none] if fault is not None]


# ----------------------------------------------------------------------------- kinds of requests


def text_of(draw: random.Random) -> str:
    """Return a text of a few words."""
    return " ".join(draw.choices(WORDS, k=draw.randint(1, 30))).strip() or "a"


def right(draw: random.Random) -> dict[str, Any]:
    """Return a request that can be answered."""
    texts = ["Ines " + text_of(draw) for _ in range(draw.randint(1, 4))]
    return {"texts": texts if draw.random() < 0.8 else texts[0]}


def broken(draw: random.Random) -> tuple[bytes, dict[str, str]]:
    """Return a body that is wrong in some way, and its headers."""
    body: Any = right(draw)
    kind = draw.randrange(12)
    if kind == 0:
        body["texts"] = draw.choice([None, 1, [], [None], {}, "", " ", ["a", ""], [["a"]], True])
    elif kind == 1:
        body[draw.choice(["tasks", "questions", "seconds", "choices", "instruction", "model"])] = (
            draw.choice([None, 1, [], [1], ["x"], "x", "\x00", ["\ud800"], {"a": 1}, ["a"] * 99])
        )
    elif kind == 2:
        body = draw.choice([None, 1, [], "x", [body], {"texts": "a", "texts ": "b"}])
    elif kind == 3:
        body["texts"] = "a" * draw.choice([5_000, 50_001, 200_000, 1_100_000])
    elif kind == 4:
        body["texts"] = ["a"] * draw.choice([16, 65, 5000])
    elif kind == 5:
        return b"[" * draw.choice([10, 10_000, 900_000]), JSON
    elif kind == 6:
        body["texts"] = "half \ud83d of a character"
    elif kind == 7:
        return json.dumps(body).encode("utf-16"), JSON
    content = json.dumps(body).encode()
    if kind == 8:
        content = content[: draw.randrange(len(content))]
    if kind == 9:
        at = draw.randrange(len(content))
        content = content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]
    if kind == 10:
        types = ["text/plain", "", "application/json; charset=latin-1", "application/jsonp"]
        return content, {"content-type": draw.choice(types)}
    if kind == 11:
        content = content.replace(b'"texts"', b'"texts": "b", "texts"')
    return content, JSON


def by_schema(address: str, count: int, seed: int, look: Callable[[Any], None]) -> list[str]:
    """Send what schemathesis makes of the OpenAPI page; returns what it finds wrong."""
    import hypothesis
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    results: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in results]
    faults: list[str] = []
    with_body = [operation for operation in operations if operation.body]
    for operation in operations:
        most = max(1, count // (2 * len(with_body))) if operation in with_body else 3
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @hypothesis.seed(seed)
            @hypothesis.settings(
                max_examples=most,
                database=None,
                deadline=None,
                suppress_health_check=list(hypothesis.HealthCheck),
                phases=[hypothesis.Phase.generate],
                print_blob=False,
            )
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                response = case.call()
                look(response)
                try:
                    case.validate_response(response, checks=_checks())
                except (Exception, BaseExceptionGroup) as error:
                    faults.append(f"{case.method} {case.path}: {str(error)[:600]}")

            try:
                send()
            except hypothesis.errors.Unsatisfiable:
                continue  # An address without parameters cannot be asked wrongly.
    return faults


def _checks() -> list[Any]:
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as openapi

    return [
        checks.not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_schema_conformance,
    ]


# ----------------------------------------------------------------------------- the whole


def fuzz(run: Path, requests: int, seed: int) -> Found:
    """Send requests to a server of a run, and return what was seen."""
    import mtl
    from mtl.tasks.base import asks

    found, draw = Found(), random.Random(seed)
    reference = mtl.load(run, "cpu")
    able = [name for name, task in reference.tasks.items() if not asks(task)]
    quick = [name for name in able if reference.tasks[name].writer() is None]
    count = requests // 3
    known: list[Known] = []
    for number in range(min(count, 300)):
        body = {**right(draw), "tasks": able if number % 5 == 0 else quick}
        alone = [reference.predict(text, body["tasks"]) for text in as_list(body["texts"])]
        known.append((body, summary([one.to_dict() for one in alone])))

    with (
        tempfile.TemporaryDirectory() as kept,
        server(run, "--corrections", kept) as (process, at),
        httpx.Client(base_url=at, timeout=120) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        writing = known[::5]

        def send(number: int, sent: tuple[bytes, dict[str, str]], most: int) -> None:
            body, expected = known[number % len(known)]
            if number % 4:
                found.look("right", client.post(PREDICT, json=body), expected)
            else:
                body, expected = writing[number // 4 % len(writing)]
                leaves = number % 8 == 0
                events = stream(client, body, most if leaves else None)
                found.statuses["stream, left" if leaves else "stream"] += 1
                fault = wrong_stream(events, expected, whole=not leaves)
                found.faults += [f"stream: {fault}"] if fault else []
            content, headers = sent
            found.look("broken", client.post(PREDICT, content=content, headers=headers))
            if number % 25 == 0:
                found.memory.append(memory_of(process))

        sent = [(number, broken(draw), draw.randint(1, 12)) for number in range(count)]
        for job in [pool.submit(send, *one) for one in sent]:
            job.result()
        left = requests - 2 * count
        found.faults += by_schema(at, left, seed, lambda answer: found.look("schema", answer))
        found.memory.append(memory_of(process))
        if client.get("/ready").status_code != 200:
            found.faults.append("the server is not ready at the end")
        still = re.search(r"^mtl_open_requests (\S+)", client.get("/metrics").text, re.MULTILINE)
        if still is None or float(still[1]) > 1:  # This one is open itself.
            found.faults.append(f"requests are open at the end: {still and still[1]}")
        found.faults += killed(process, at, writing)
    return found


def as_list(texts: Any) -> list[str]:
    """Return one text as a list of one."""
    return [texts] if isinstance(texts, str) else texts


def _tiny(folder: str) -> Path:
    from tests.serving.runs import train_tiny

    return train_tiny(Path(folder))


def main() -> int:
    """Read the command line and fuzz; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", nargs="?")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(options.run or _tiny(folder), options.requests, options.seed)
    for kind, count in sorted(found.statuses.items()):
        print(f"{count:7,} {kind}")
    first, last = found.memory[int(len(found.memory) * WARM)], found.memory[-1]
    print(
        f"{sum(found.statuses.values()):7,} in all; memory {first:,} KiB warm, {last:,} at the end"
    )
    for fault in found.faults[:20]:
        print(f"fault: {fault}")
    return 1 if found.faults or found.grown > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
