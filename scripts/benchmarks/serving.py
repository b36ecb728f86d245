"""Measure `mtl serve` beside four transformers models behind the same server, at rising load.

    python scripts/benchmarks/serving.py [--short] [--threads 2] [--tasks NAME,NAME]

Both sides are the endpoints, limits and batching of `mtl.serving`, each in a process of its own;
what answers differs: one pass of mtl for all tasks of a request, or one model of the same size and
weights a task, each with the batch size that is best for it. A request is a document of the
bundled corpus with one question. Requests come at given rates whether or not the earlier ones are
answered, ours and theirs by turns; a side leaves when it refuses one request in twenty.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.benchmarks.runner import machine  # noqa: E402

SIDES = ("mtl", "transformers")
TASKS = ("ner", "sentiment", "qa", "summarization")
GROWS = 1.5
"""By how much the rate rises from one level to the next."""
REFUSED = 0.05
"""Share of refused requests at which a side leaves."""


@dataclass(frozen=True)
class Level:
    """What one side did at one rate."""

    side: str
    rate: float
    """Requests a second that came."""
    answered: float
    """Requests a second that were answered."""
    p50: float
    p95: float
    p99: float
    """Seconds from a request to its answer."""
    refused: float
    """Share of requests."""
    failed: int
    """Requests that ended in another way, of which there must be none."""


class FourModels:
    """What the server of the other side answers with: a model a task.

    All that is not answering (limits, tasks, counting tokens) is the other side's too.

    Args:
        ours: mtl's side.
        peers: The four models.
    """

    def __init__(self, ours: Any, peers: Any) -> None:
        self.ours = ours
        self.peers = peers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ours, name)

    def answer(self, rows: list[dict[str, Any]], watch: Any) -> list[dict[str, Any]]:
        """Answer rows, each model those that ask for its task, in batches by length."""
        found: list[dict[str, Any]] = [dict.fromkeys(row["_tasks"]) for row in rows]
        for task, job in self.peers.jobs.items():
            at = [n for n, row in enumerate(rows) if task in row["_tasks"]]
            at.sort(key=lambda n: len(rows[n]["text"]) + len(rows[n].get("question", "")))
            if not at:
                continue
            asked = [[rows[n]["question"]] for n in at] if task == "qa" else None
            answers = job([rows[n]["text"] for n in at], asked)
            for n, answer in zip(at, answers, strict=True):
                found[n][task] = SHAPES[task](answer)
        for n, row in enumerate(found):
            for task, answer in row.items():
                watch.answer(n, task, answer)
        return found


SHAPES: dict[str, Any] = {
    "ner": lambda found: {
        "entities": [
            {
                "text": one["word"],
                "label": one["entity_group"],
                "start": int(one["start"]),
                "end": int(one["end"]),
                "score": float(one["score"]),
            }
            for one in found
        ]
    },
    "sentiment": lambda found: {
        "label": found["label"],
        "probabilities": {found["label"]: float(found["score"])},
    },
    "qa": lambda found: {"answer": found},
    "summarization": lambda found: {"text": found},
}
"""By task: from what transformers says to what the server's answers hold."""


def documents() -> list[dict[str, Any]]:
    """Return the bundled corpus's test documents, each with its first question."""
    from scripts.benchmarks.cases.inference import CORPUS

    rows = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
    return [{"text": r["text"], "question": r["questions"][0]["question"]} for r in rows]


def serve(side: str, threads: int, queue: int) -> None:
    """Be the server of a side."""
    import torch
    import transformers

    from mtl.inference.questions import Beside, rows_of
    from mtl.serving.app import Serving
    from mtl.serving.run import listen
    from mtl.serving.run import serve as answer
    from mtl.serving.settings import Limits, Settings
    from scripts.benchmarks.cases.inference import Peers, choose_budget, predictor_of

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    model: Any = predictor_of(threads)
    some = documents()[:16]
    if side == SIDES[0]:
        asked = [Beside([row["question"]]).parts(model.tasks) for row in some]
        each = zip(some, asked, strict=True)
        choose_budget(model, [r for row, parts in each for r in rows_of([row["text"]], parts)])
    else:
        peers = Peers(model)
        peers.choose([row["text"] for row in some], [[row["question"]] for row in some])
        model = FourModels(model, peers)
    bound = listen("127.0.0.1", 0)
    serving = Serving({"run": model}, Settings(Limits(queue=queue)))
    answer(serving, bound, lambda address: print(address, flush=True))


@contextmanager
def server(side: str, threads: int, queue: int) -> Iterator[str]:
    """Yield the address of a side's server."""
    own = [sys.executable, __file__, "--side", side, "--threads", str(threads)]
    command = [*own, "--queue", str(queue)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.startswith("http://"))
        finally:
            process.terminate()
            process.wait(60)


async def load(address: str, bodies: Sequence[Any], rate: float, seconds: float) -> list[Any]:
    """Send requests at a rate; returns how each ended: status and seconds."""
    draw = random.Random(round(rate * 1000))
    found: list[Any] = []
    limits = httpx.Limits(max_connections=None)

    async def one(body: Any) -> None:
        began = time.perf_counter()
        try:
            response = await client.post("/v1/predict", json=body)
            found.append((response.status_code, time.perf_counter() - began))
        except httpx.HTTPError:
            found.append((0, time.perf_counter() - began))

    async with httpx.AsyncClient(base_url=address, timeout=300, limits=limits) as client:
        sent, begun = [], time.perf_counter()
        due = 0.0
        while due < seconds:
            await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
            sent.append(asyncio.create_task(one(draw.choice(bodies))))
            due += draw.expovariate(rate)
        await asyncio.gather(*sent)
        found.append(time.perf_counter() - begun)
    return found


def level(side: str, address: str, bodies: Sequence[Any], rate: float, seconds: float) -> Level:
    """Load one side at one rate."""
    *ended, lasted = asyncio.run(load(address, bodies, rate, seconds))
    good = sorted(took for status, took in ended if status == 200)
    refused = sum(status == 429 for status, _ in ended)
    if not good:
        return Level(side, rate, 0.0, 0.0, 0.0, 0.0, refused / len(ended), len(ended) - refused)
    p50, p95, p99 = (
        good[min(len(good) - 1, int(share * len(good)))] for share in (0.5, 0.95, 0.99)
    )
    failed = len(ended) - len(good) - refused
    return Level(side, rate, len(good) / lasted, p50, p95, p99, refused / len(ended), failed)


def measure(tasks: Sequence[str], threads: int, queue: int, *, short: bool) -> list[Level]:
    """Load both sides by turns, at rates that rise until each refuses."""
    seconds, most = (5.0, 3) if short else (30.0, 40)
    names = list(tasks)
    bodies = [
        {
            "texts": row["text"],
            "tasks": names,
            **({"questions": [row["question"]]} if "qa" in names else {}),
        }
        for row in documents()
    ]
    found: list[Level] = []
    with server(SIDES[0], threads, queue) as ours, server(SIDES[1], threads, queue) as theirs:
        left = dict(zip(SIDES, (ours, theirs), strict=True))
        for address in left.values():
            level("", address, bodies, 1.0, 3.0)  # The first requests import and allocate.
        rate, number = 2.0, 0
        while left and number < most:
            for side, address in list(left.items()):
                found.append(level(side, address, bodies, rate, seconds))
                print(shown(found[-1]), flush=True)
                if found[-1].refused > REFUSED:
                    del left[side]
            rate, number = rate * GROWS, number + 1
    return found


HEAD = f"{'':14}{'came/s':>8}{'answered/s':>12}{'p50 s':>8}{'p95 s':>8}{'p99 s':>8}{'refused':>9}"


def shown(one: Level) -> str:
    """Return a line of the table."""
    times = "".join(f"{value:8.2f}" for value in (one.p50, one.p95, one.p99))
    failed = f"  {one.failed} failed" if one.failed else ""
    return f"{one.side:14}{one.rate:8.1f}{one.answered:12.2f}{times}{one.refused:9.1%}{failed}"


def main() -> int:
    """Read the command line and measure; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--short", action="store_true", help="three rates, a few seconds each")
    add("--threads", type=int, default=os.cpu_count(), help="threads of one operator")
    add("--tasks", default=",".join(TASKS), help="what each request asks for")
    add("--queue", type=int, default=64, help="texts that wait before requests are refused")
    add("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON file")
    add("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side, options.threads, options.queue)
        return 0
    print(HEAD)
    found = measure(options.tasks.split(","), options.threads, options.queue, short=options.short)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine(), "tasks": options.tasks, "levels": [asdict(one) for one in found]}
    (options.out / "serving.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 1 if any(one.failed for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
