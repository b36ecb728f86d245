"""What `/metrics` counts, in Prometheus' format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (16, 64, 256, 1024, 4096, 16384)


class Meters:
    """The numbers of one server; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = to = CollectorRegistry()
        self.requests = Counter(
            "mtl_requests", "Requests by path and status.", ["path", "status"], registry=to
        )
        self.seconds = Histogram(
            "mtl_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ["path"],
            buckets=SECONDS,
            registry=to,
        )
        self.open = Gauge("mtl_open_requests", "Requests that are being answered.", registry=to)
        self.waiting = Gauge("mtl_queue_texts", "Texts that wait for a model.", registry=to)
        self.tokens = Counter("mtl_tokens", "Tokens read, by model.", ["model"], registry=to)
        self.batch_texts = Histogram(
            "mtl_batch_texts", "Texts answered together.", buckets=SIZES, registry=to
        )
        self.batch_tokens = Histogram(
            "mtl_batch_tokens", "Tokens answered together.", buckets=TOKENS, registry=to
        )
        self.batch_seconds = Histogram(
            "mtl_batch_seconds", "Seconds of a batch.", buckets=SECONDS, registry=to
        )
        self.answering = 0
        """Requests that are being answered."""

    @contextmanager
    def request(self, path: str) -> Iterator[list[int]]:
        """Count one request, whose status is put into the list."""
        self.answering += 1
        self.open.inc()
        began, status = time.monotonic(), [500]
        try:
            yield status
        finally:
            self.answering -= 1
            self.open.dec()
            self.requests.labels(path, str(status[-1])).inc()
            self.seconds.labels(path).observe(time.monotonic() - began)

    def page(self) -> bytes:
        """Return all numbers as text."""
        found: bytes = generate_latest(self.registry)
        return found
