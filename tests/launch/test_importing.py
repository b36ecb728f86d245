"""Imports without the garbage collector: it is off inside, and on again whatever happens."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mtl.launch.importing import importing

NEW = "module_that_nobody_has_imported"


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    assert gc.isenabled()
    before = gc.get_freeze_count()
    yield
    gc.enable()
    if not before:
        gc.unfreeze()


def test_nothing_is_collected_while_a_module_comes() -> None:
    before = gc.get_freeze_count()
    with importing(NEW):
        assert not gc.isenabled()
        made: list[list[int]] = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(made)


def test_a_module_that_is_there_changes_nothing() -> None:
    before = gc.get_freeze_count()
    with importing("gc"):
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_a_failed_import_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), importing(NEW):
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with importing(NEW):
        pass
    assert not gc.isenabled()
