"""A site for all tests, and PyTorch's settings as they were before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests import helpers
from tests.training.corpus import write_corpus
from tests.training.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A one-layer Llama with dropout, and a small corpus; not to be changed."""
    base = tmp_path_factory.mktemp("site")
    config = helpers.llama_config(num_hidden_layers=1, hidden_size=8, attention_dropout=0.2)
    trunk = helpers.save_tiny(base / "trunk", config, helpers.bpe_tokenizer())
    return Site(trunk, write_corpus(base / "data"))


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)
