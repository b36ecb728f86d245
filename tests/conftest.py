"""No network, one thread, property tests drawn alike, and tokenizers that every test may share."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from typing import Any

import pytest
import torch

import tests.properties  # noqa: F401  (loads the profile before any test is imported)
from tests import helpers


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Any]:
    """Tiny tokenizers by kind: ``bpe``, ``wordpiece`` and ``metaspace``."""
    return {name: build() for name, build in helpers.TOKENIZERS.items()}
