"""Memory that training on AESLC takes above weights and optimiser state, 16 e-mails a step.

Each side runs in a process of its own, over the same e-mails: the peak of its resident memory
during its steps, less what is resident when training starts, less AdamW's two numbers a weight.
So gradients count, and activations. The peer takes the batch of the longest e-mails, with which
its length grouping begins; mtl takes all of the steps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from transformers import TrainerCallback

from scripts.benchmarks.cases.summarization import EXAMPLES, run_of
from scripts.benchmarks.decoders import causal_rows, grouped_batches, peer_model
from scripts.benchmarks.ours import Training
from scripts.benchmarks.peers.trainer import Peer, padded
from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings, own_process

SIDES = ("mtl", "HF Trainer, grouped")
STEPS = 2
"""Of the peer; the optimiser's state exists from the end of the first."""
EVERY = 0.002
"""Seconds between two looks at the resident memory."""


def resident() -> int:
    """Return this process's resident memory, in bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Notes the resident memory when training starts, and its peak from then on."""

    def __init__(self) -> None:
        self.before = self.peak = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def begin(self) -> None:
        """Start to look."""
        self.before = self.peak = resident()
        self.thread.start()

    def end(self) -> None:
        """Stop, and wait for the last look."""
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.done.wait(EVERY):
            self.peak = max(self.peak, resident())


class OurWatch(L.Callback):
    """For Lightning's Trainer."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Model and optimiser are built, the first step is to come."""
        self.watch.begin()


class TheirWatch(TrainerCallback):  # type: ignore[misc]
    """For transformers' Trainer."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Model and optimiser are built, the first step is to come."""
        self.watch.begin()


def peer_of(training: Training) -> Peer:
    """Return the Trainer on the batch of the longest e-mails, again and again."""
    longest = grouped_batches(causal_rows(training), EXAMPLES)[-1]
    rows = longest * STEPS
    return Peer(peer_model(training), rows, padded(0), batch=EXAMPLES, grouped=None)


def one(side: str, data: str, cache: str, threads: int, steps: int) -> float:
    """Return the memory that a side's steps take, in MB."""
    settings = Settings(threads=threads, data=Path(data), cache=Path(cache))
    training = run_of(settings, steps * EXAMPLES)
    weights = sum(p.numel() for p in training.model.parameters())
    watch = Watch()
    if side == SIDES[0]:
        training.round(steps, [OurWatch(watch)])
    else:
        peer_of(training).round(STEPS, [TheirWatch(watch)])
    watch.end()
    return (watch.peak - watch.before - 2 * 4 * weights) / 1e6


def prepare(settings: Settings) -> Prepared:
    """Return sides that start a process each."""
    steps = settings.pick(9, 3)
    run_of(settings, steps * EXAMPLES)  # So that trunk and data are made beforehand.

    def side(name: str) -> Callable[[], float]:
        given = (name, str(settings.data), str(settings.cache), settings.threads, steps)
        return lambda: own_process(one, *given)

    return Prepared(
        unit="MB above weights and optimiser state",
        sides={name: side(name) for name in SIDES},
        ratios=[Ratio("against HF Trainer, length grouping", *SIDES, 0.35, at_least=False)],
        warm_up=False,
    )


CASE = Case(
    "summarization_memory",
    "AESLC, subjects written by a 30M decoder, 16 e-mails a step",
    prepare,
    ("aeslc",),
)
