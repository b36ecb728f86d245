from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtl.trunk.trunk import Trunk
from tests.trunk.families import ENCODERS, load_family

Load = Callable[..., Trunk]


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory, tokenizers: dict[str, Any]) -> Load:
    """Return ``load(family, attention)``: a trunk read from a folder with random weights."""
    folder = tmp_path_factory.mktemp("families")

    def from_folder(name: str, attention: str = "causal") -> Trunk:
        tokenizer = tokenizers["wordpiece" if name in ENCODERS else "bpe"]
        return load_family(name, folder, tokenizer, attention)

    return from_folder
