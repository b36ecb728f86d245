"""Importing the heavy libraries, without the garbage collector looking on.

They leave about a million objects, nearly all of which live as long as the process. Python's
collector goes through them again and again while they come, which is a quarter of the time that
the imports take, and through all of them in every later full collection.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing(module: str) -> Iterator[None]:
    """Collect no garbage while a module is imported for the first time, nor what it made later.

    What exists at the end is out of the collector's sight for good, garbage included; so nothing
    but the import belongs inside. A module that is there already changes nothing.

    Args:
        module: Its dotted name; the caller imports it.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
