"""Tables and planners for tests of the plan; imports no torch, so that a process starts soon."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl.config.schema import MixingConfig
from mtl.data.mixing import MIXERS
from mtl.data.orders import ORDERS
from mtl.data.plan import EpochPlan, Planner

Table = dict[str, npt.NDArray[np.uint64]]


def table(name: str, count: int, *, documents: int | None = None, seed: int = 0) -> Table:
    """Return `count` examples over `documents` documents (as many as examples when unset)."""
    if documents is None:
        keys = np.arange(count, dtype=np.uint64) + np.uint64(hash_of(name))
    else:
        keys = np.random.default_rng(seed).integers(0, documents, count).astype(np.uint64)
    return {name: keys}


def hash_of(name: str) -> int:
    """A number far from other names' numbers, the same in every process."""
    return int.from_bytes(name.encode()[:4].ljust(4, b"\0"), "big") << 24


TABLES = [table("ner", 500), table("sentiment", 300, documents=90), table("qa", 41)]


def planner(
    tables: list[Table], mixing: str = "proportional", order: str = "mixed", **options: Any
) -> Planner:
    settings: dict[str, Any] = {"examples": 32, "max_branches": 8, "seed": 7, **options}
    keys = {name: found for table in tables for name, found in table.items()}
    own = MIXERS.options(mixing)
    mixer = MIXERS.get(mixing)(own() if own else MixingConfig())
    return Planner(keys, mixer, order=ORDERS.get(order)(), **settings)


def digest(plan: EpochPlan) -> str:
    arrays = (plan.task, plan.example, plan.group)
    return hashlib.sha256(b"".join(a.astype("<i8").tobytes() for a in arrays)).hexdigest()
