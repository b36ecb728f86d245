"""What the processes of an external launcher agree on before their process group exists."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from mtl.errors import ConfigError, MtlError
from mtl.launch.place import several

if TYPE_CHECKING:
    from torch.distributed import Store

WAIT = timedelta(minutes=10)
HEARING = 10.0
GOOD, BAD = "+", "-"


class Refused(MtlError):
    """The first process ended with an error, which it has shown."""


def from_first(key: str, make: Callable[[], str]) -> str:
    """Return what the first process makes; it makes it alone, and the others wait for it.

    Raises:
        MtlError: What `make` raised, on the first process.
        Refused: On the others.
    """
    here = several()
    if here is None:
        return make()
    store = _store()
    if here.rank:
        found = store.get(key).decode()
        store.add(f"{key}/heard", 1)
        if found[0] == BAD:
            raise Refused(found[1:])
        return found[1:]
    try:
        value = make()
    except MtlError as error:
        store.set(key, f"{BAD}{error}")
        _outlive(store, f"{key}/heard", here.world - 1)
        raise
    store.set(key, f"{GOOD}{value}")
    return value


def _outlive(store: Store, key: str, others: int) -> None:
    """Wait until the others have heard: the store may end with this process."""
    until = time.monotonic() + HEARING
    while store.add(key, 0) < others and time.monotonic() < until:
        time.sleep(0.05)


def speaks() -> bool:
    """Return whether this process is the one to show an error that ends the run.

    It is the first that asks, where the processes know each other by then, else the first of all.
    """
    try:
        here = several()
    except ConfigError:
        return True
    if here is None:
        return True
    if not _store.cache_info().currsize:
        return here.rank == 0
    try:
        return _store().add("errors", 1) == 1
    except RuntimeError:  # Its host has ended: with an error, or because of this one.
        return True


@cache
def _store() -> Store:
    """Return the store that PyTorch's process group will use too; kept as long as the process."""
    from torch.distributed import PrefixStore, rendezvous

    store, _, _ = next(rendezvous("env://", timeout=WAIT))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"mtl/{attempt}", store)
