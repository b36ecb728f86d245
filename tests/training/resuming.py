"""Runs that are killed and go on, and what is compared of two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import Config
from mtl.reporting.loggers.csv_file import read_rows
from mtl.training.checkpoint import AtomicCheckpointIO
from mtl.training.module import MultiTaskModule
from tests.training.site import Site, differing, last_weights, metrics, saved

STEP = (MultiTaskModule, "training_step")
VALIDATION = (MultiTaskModule, "validation_step")
SAVE = (AtomicCheckpointIO, "save_checkpoint")


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def die() -> None:
    raise Killed


def kill_at(
    patch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    call: int,
    *,
    after: bool = False,
    end: Callable[[], None] = die,
) -> None:
    """End the process before (or after) the given call of a function, counted from 1."""
    original = getattr(owner, name)
    calls = 0

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            end()
        result = original(*args, **kwargs)
        if calls == call:
            end()
        return result

    patch.setattr(owner, name, counting)


@contextmanager
def killed(owner: Any, name: str, call: int, *, after: bool = False) -> Iterator[None]:
    """Have what is done inside end as by a kill, in the given call of a function."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, owner, name, call, after=after)
        with pytest.raises(Killed):
            yield


def run_config(site: Site, **changes: Any) -> Config:
    """Seven steps; checkpoints after 2 and 4 and at the validations after 3, 6 (the best) and 7."""
    options = {
        "seed": 7,
        "head__lr": 0.1,
        "monitor": "val/rating/rmse",
        "batching__tokens": 24,
        "trainer__max_steps": 7,
        "trainer__val_check_interval": 3,
        "callbacks__checkpoint__every_n_train_steps": 2,
        "callbacks__early_stopping__patience": 5,
        "logger__names": ["csv"],
        "trainer__log_every_n_steps": 5,
    }
    return site.config("ner", "rating", **{**options, **changes})


def resumed(cfg: Config, run: Path) -> Config:
    return cfg.model_copy(update={"resume": str(run)})


def check_equal(run: Path, other: Path) -> None:
    """Same weights, metrics, checkpoints and logged steps."""
    assert differing(saved(run), saved(other)) == []
    assert differing(last_weights(run), last_weights(other)) == []
    assert metrics(run) == metrics(other)
    assert names(run) == names(other)
    assert logged(run) == logged(other)


def logged(run: Path) -> list[dict[str, str]]:
    """Every value of every logged step, but for how fast it went."""
    rows = read_rows(run / "metrics.csv")
    assert rows
    return [
        {k: v for k, v in row.items() if not k.endswith(("_per_second", "memory_gb"))}
        for row in rows
    ]


def names(run: Path) -> list[str]:
    return sorted(p.name for p in (run / "checkpoints").iterdir())
