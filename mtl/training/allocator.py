"""How the C library's allocator keeps and gives back memory while a run trains.

PyTorch takes a CPU tensor's memory from ``malloc``. As glibc is set out of the box, two things go
wrong with tensors of many megabytes that live for a part of a step. Those above a threshold are
mapped afresh each time, and every page of them is a fault: 10 to 20% of a step. And of those below
it, whatever lies under one that still lives stays with the process although it is free: with rows
of unlike length resident memory grows for hours, several times over, and no tensor is to blame.

Here freed memory is kept for the next step, and now and then given back as a whole. In steps with a
document that is run in parts, memory goes first: there freed tensors are given back at once.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
from lightning.pytorch.callbacks import LambdaCallback

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # <malloc.h>
KEPT = 1 << 30
"""Bytes that may lie free at the end of the heap before they are given back at once."""
EVERY = 100
"""Steps after which free memory is given back. Each time costs the faults of a step: below 1%."""
LARGE = 2 << 20
"""Bytes of a tensor whose memory can go back at once."""
MAPPINGS = 65536
"""How many such tensors may live at a time; what glibc allows out of the box."""


def keep_freed_memory() -> bool:
    """Let the allocator keep what is freed, for the process's whole life.

    Returns:
        Whether it does: not on systems without glibc, nor where the environment has settings of
        its own (``MALLOC_…_``, or ``glibc.malloc`` in ``GLIBC_TUNABLES``).
    """
    libc = _glibc()
    asked = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ)
    if libc is None or asked or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    global _keeps
    _keeps = bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, KEPT))
    return _keeps


_keeps = False
"""Whether freed memory is kept."""


@contextmanager
def giving_back_at_once() -> Iterator[None]:
    """Let large tensors that are made within give their memory back when they are freed.

    Memory is then that of the tensors that live: what is kept for the next step has holes, into
    which a larger tensor does not fit, so that the heap grows. Each such tensor costs its faults.
    """
    libc = _glibc() if _keeps else None
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_MMAP_MAX, MAPPINGS)
    try:
        yield
    finally:
        if libc is not None:
            libc.mallopt(M_MMAP_MAX, 0)


def give_back() -> None:
    """Give free memory back to the system, wherever in the heap it lies."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None


def give_back_regularly(every: int = EVERY) -> L.Callback:
    """Return what gives free memory back every so many steps, and around validations.

    Around them, because sizes differ between training and evaluation.
    """

    def after_step(trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step % every == 0:
            give_back()

    def around(*_: object) -> None:
        give_back()

    return LambdaCallback(
        on_train_batch_end=after_step, on_validation_start=around, on_validation_end=around
    )
