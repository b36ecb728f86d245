"""What training logs sum up between two logs: losses, shares, and how fast it went."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from mtl.types import Step


class Running:
    """Sums since the last training log."""

    def __init__(self) -> None:
        self.losses: dict[str, list[Tensor]] = {}
        self.present: dict[str, int] = {}
        """Steps in which any rank had rows of the task."""
        self.norm: Any = 0.0
        self.tokens = 0
        self.examples = 0
        self.read: dict[str, int] = {}
        self.start = self.paused = time.perf_counter()
        self.seconds = 0.0

    def add(self, step: Step, norm: Tensor) -> None:
        """Count one step."""
        self.norm = norm.detach()
        for name in step.denominators:
            self.present[name] = self.present.get(name, 0) + 1
        self.examples += step.examples
        for micro_batch in step.micro_batches:
            self.tokens += micro_batch.trunk.tokens
            for name, part in micro_batch.heads.items():
                self.read[name] = self.read.get(name, 0) + len(part.examples)

    def pause(self) -> None:
        """Do not count the time from now on."""
        self.paused = time.perf_counter()

    def go_on(self) -> None:
        """Count the time again."""
        self.start += time.perf_counter() - self.paused

    def flush(self) -> Running:
        """Return the finished sums and start anew."""
        done = Running()
        done.__dict__.update(self.__dict__)
        done.norm = float(self.norm)
        done.seconds = max(time.perf_counter() - self.start, 1e-9)
        self.__init__()  # type: ignore[misc]
        return done
