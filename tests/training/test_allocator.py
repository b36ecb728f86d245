"""Freed memory is kept for the next step, and given back when it is time."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mtl.training import allocator
from mtl.training.allocator import give_back_regularly

linux = pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")

HELD = """
import os
from pathlib import Path
from mtl.training.allocator import give_back, keep_freed_memory
import torch

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20

kept = keep_freed_memory()
pieces = [torch.ones(24 << 18) for _ in range(8)]   # 24 MiB each
pins = torch.ones(10)
before = resident()
del pieces
held = resident()
give_back()
print(kept, before - held, before - resident())
"""


WITHIN = """
from mtl.training.allocator import giving_back_at_once
with giving_back_at_once():
    pieces = [torch.ones(24 << 18) for _ in range(8)]
    pins.mul_(2)
    within = resident()
    del pieces
    print(within - resident())
pieces = [torch.ones(24 << 18) for _ in range(8)]
again = resident()
del pieces
print(again - resident())
"""


def run(code: str = HELD, **environment: str) -> tuple[bool, int, int]:
    """Free 192 MiB: whether they are kept, MiB given back at once, and when told to."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    kept, freed, given = done.stdout.split()[-3:]
    return kept == "True", int(freed), int(given)


@pytest.mark.slow
@linux
def test_freed_memory_is_kept_and_then_given_back() -> None:
    kept, at_once, when_told = run()
    assert kept
    assert at_once < 40
    assert when_told > 150


@pytest.mark.slow
@linux
def test_a_document_in_parts_gives_back_at_once_what_the_next_step_keeps_again() -> None:
    order = "kept = keep_freed_memory(); pins = torch.ones(10)"
    begin, _ = HELD.split("kept =")
    kept, within, after = run(f"{begin}{order}\nprint(kept)\n{WITHIN}")
    assert kept
    assert within > 150
    assert after < 40


@linux
@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_MMAP_THRESHOLD_", "1000000"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")],
)
def test_settings_of_the_environment_win(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert not allocator.keep_freed_memory()


@pytest.mark.slow
@linux
def test_settings_of_the_environment_are_left_alone() -> None:
    kept, at_once, _ = run(MALLOC_MMAP_THRESHOLD_="1000000")
    assert not kept
    assert at_once > 150


def test_the_callback_gives_back_every_so_many_steps_and_around_validations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times: list[int] = []
    trainer: Any = SimpleNamespace(global_step=0)
    monkeypatch.setattr(allocator, "give_back", lambda: times.append(trainer.global_step))
    callback = give_back_regularly(every=4)
    for step in range(1, 10):
        trainer.global_step = step
        callback.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert times == [4, 8]
    callback.on_validation_start(trainer, None)  # type: ignore[arg-type]
    callback.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert times == [4, 8, 9, 9]
