"""Counts of a house small enough to be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from mtl.config.schema import TrunkConfig
from mtl.types import Branch
from scripts.house import RATE, TEXT, carries, holds, read_code

ONE = '''"""A module."""

from typing import Any


class Open:
    """A class."""

    size: int = 1
    """A field."""

    def take(self, value: Any) -> int:
        # Nothing to see.
        return self.size


class _Closed:
    pass
'''
TWO = "from mtl.one import Open, _Closed\n\n\ndef use(it: Open) -> None:\n" + "    it.size\n" * 61


def test_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "mtl").mkdir()
    (tmp_path / "mtl" / "one.py").write_text(ONE, "utf-8")
    (tmp_path / "mtl" / "two.py").write_text(TWO, "utf-8")
    assert read_code(tmp_path) == {
        "files": 2,
        "lines": 18 + 65,
        "code lines": 7 + 63,
        "median file, lines": (18 + 65) / 2,
        "functions over 60 lines, %": 50.0,
        "signatures that name `Any`, %": 50.0,
        "public classes that cross files": 1,
    }


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        (RATE, 0),
        (f"trunk.lr={TEXT}", 0),
        ([1, RATE], 1),
        (TrunkConfig(lr=RATE), 1),
        ({"trunk": {"lr": RATE}}, 2),
        (OmegaConf.create({"trunk": {"lr": RATE}}), 2),
    ],
)
def test_where_the_key_is(value: object, depth: int) -> None:
    nodes = 2 if OmegaConf.is_config(value) else 0  # Each value of a config is a node.
    assert holds(value, depth + nodes)
    assert not depth or not holds(value, depth - 1)


def test_what_is_of_the_sentence() -> None:
    assert carries([{"tokens": ["Ines", "left"]}], 3)
    assert carries(np.zeros(1), 0)
    assert carries(Branch(0, np.zeros(1, dtype=np.int32)), 0)
    assert not carries(["another", 1.0, None], 3)
    assert not carries([[[["Ines"]]]], 3)
