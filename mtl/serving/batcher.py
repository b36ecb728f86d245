"""One thread answers the requests of all clients, those that wait together in one batch.

While a batch runs, further requests come in; the next batch takes as many of them as the time for
one allows, in the order in which they came. An idle model waits for nothing, so nobody pays for
batching with time. How many fit follows from the speed of the batches before.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mtl.config.section import Values
from mtl.errors import MtlError
from mtl.inference.meter import Watch
from mtl.inference.predictor import RowPredictor
from mtl.serving.errors import Refused, refused
from mtl.serving.meters import Meters
from mtl.serving.settings import Settings
from mtl.types import Row

FORGETS = 0.2
"""Weight of the latest batch in the measured speed."""


@dataclass(eq=False)
class Job:
    """A request's rows."""

    model: str
    rows: list[Row]
    """Prepared; the tasks of each stand in it."""
    done: Callable[[list[Values]], None]
    """Told of all answers. All of these are called in the model's thread."""
    failed: Callable[[Refused], None]
    answer: Callable[[int, str, Values], None] | None = None
    """Told of each answer: row, task, values."""
    piece: Callable[[int, str, str], None] | None = None
    """Told of texts piece by piece."""
    begun: bool = False
    """Whether it has been told of anything."""
    dropped: bool = False
    """Whether nobody waits for it any longer."""
    tokens: int = 0


@dataclass
class Speed:
    """How fast a model was lately."""

    tokens: float = 0.0
    """A second; 0 before the first batch."""
    seconds: float = 0.05
    """Of one text."""

    def learn(self, tokens: int, texts: int, seconds: float) -> None:
        """Take in a batch."""
        rate = tokens / max(seconds, 1e-6)
        known = self.tokens > 0
        self.tokens = (1 - FORGETS) * self.tokens + FORGETS * rate if known else rate
        each = seconds / max(1, texts)
        self.seconds = (1 - FORGETS) * self.seconds + FORGETS * each if known else each


class _Told(Watch):
    """Hands what a batch answers to the requests that its rows are of."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.owners = [(job, row) for job in jobs for row in range(len(job.rows))]
        self.pieces = any(job.piece is not None for job in jobs)

    def answer(self, row: int, task: str, answer: Values) -> None:
        job, own = self.owners[row]
        if job.answer is not None:
            job.begun = True
            job.answer(own, task, answer)

    def piece(self, row: int, task: str, piece: str) -> None:
        job, own = self.owners[row]
        if job.piece is not None:
            job.begun = True
            job.piece(own, task, piece)


@dataclass
class Batcher:
    """Answers jobs in a thread of its own.

    Args:
        models: By name.
        settings: Of the server.
        meters: Count batches.
    """

    models: Mapping[str, RowPredictor]
    settings: Settings
    meters: Meters
    speeds: dict[str, Speed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._texts = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="mtl-model", daemon=True)
        self.speeds = {name: Speed() for name in self.models}

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Put a job behind those that wait.

        Raises:
            Refused: If too much waits, or the server is closing.
        """
        with self._changed:
            if self._closing:
                raise Refused(503, "The server is closing.", {"Retry-After": "5"})
            if self._waiting and self._texts + len(job.rows) > self.settings.limits.queue:
                seconds = max(1, math.ceil(self._texts * self.speeds[job.model].seconds))
                raise Refused(
                    429,
                    f"{self._texts} texts wait already, of at most {self.settings.limits.queue}: "
                    f"try again in {seconds} s.",
                    {"Retry-After": str(seconds)},
                )
            self._waiting.append(job)
            self._count(len(job.rows))
            self._changed.notify()

    def close(self) -> None:
        """Take no more jobs, and end when those that wait are done."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _count(self, texts: int) -> None:
        self._texts += texts
        self.meters.waiting.set(self._texts)

    def _work(self) -> None:
        while jobs := self._next():
            self._answer(jobs)

    def _next(self) -> list[Job]:
        """Return the jobs of the next batch; none when all is done and the server closes.

        They are the oldest, and others of its model while there is time for them. Tokens are
        counted here, without holding up those who bring jobs.
        """
        with self._changed:
            while (first := self._oldest(None)) is None:
                if self._closing:
                    return []
                self._changed.wait()
            self._take(first)
        jobs, room = [first], self.room(first.model) - self._counted(first)
        while room > 0:
            with self._changed:
                job = self._oldest(first.model)
            if job is None:
                break
            room -= self._counted(job)
            if room >= 0:
                with self._changed:
                    self._take(job)
                jobs.append(job)
        return jobs

    def _oldest(self, model: str | None) -> Job | None:
        """Return the oldest job, of one model or of any; forget those that nobody waits for."""
        for job in list(self._waiting):
            if job.dropped:
                self._take(job)
            elif model in (None, job.model):
                return job
        return None

    def _take(self, job: Job) -> None:
        self._waiting.remove(job)
        self._count(-len(job.rows))

    def _counted(self, job: Job) -> int:
        """Return a job's tokens; of one that cannot be counted, 1: its answer says why."""
        try:
            job.tokens = job.tokens or self.models[job.model].tokens_of(job.rows)
        except Exception:
            job.tokens = 1
        return job.tokens

    def room(self, model: str) -> int:
        """Return how many tokens a batch may have: as many as its time allows, one at least."""
        speed = self.speeds[model].tokens
        if not speed:
            return self.models[model].tokens
        return max(1, int(speed * self.settings.latency))

    def _answer(self, jobs: list[Job]) -> None:
        """Answer jobs together; where that fails, each alone, so that one cannot harm another."""
        began = time.monotonic()
        try:
            rows = [dict(row) for job in jobs for row in job.rows]
            found = self.models[jobs[0].model].answer(rows, _Told(jobs))
        except Exception as error:
            again = [job for job in jobs if len(jobs) > 1 and not job.begun]
            for job in jobs:
                if job not in again:
                    job.failed(_said(error))
            for job in again:
                self._answer([job])
            return
        self._measure(jobs, time.monotonic() - began)
        for job in jobs:
            job.done(found[: len(job.rows)])
            found = found[len(job.rows) :]

    def _measure(self, jobs: list[Job], seconds: float) -> None:
        model, tokens = jobs[0].model, sum(job.tokens for job in jobs)
        texts = sum(len(job.rows) for job in jobs)
        self.speeds[model].learn(tokens, texts, seconds)
        self.meters.tokens.labels(model).inc(tokens)
        self.meters.batch_texts.observe(texts)
        self.meters.batch_tokens.observe(tokens)
        self.meters.batch_seconds.observe(seconds)


def _said(error: Exception) -> Refused:
    """Return what a client is told of an error: a user's mistake as it is, a fault in general."""
    if isinstance(error, MtlError):
        return refused(error)
    import logging

    logging.getLogger(__name__).exception("a batch failed")
    return Refused(500, "The model failed on this request; the server's log has the reason.")
