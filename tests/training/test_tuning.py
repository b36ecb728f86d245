"""Which weights a run may move."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtl.errors import ConfigError
from tests import helpers
from tests.training.site import Site, differing, fit, module_of, prepared, weights


def moved(site: Site, folder: Path, **changes: object) -> set[str]:
    """Return the weights that two steps move."""
    cfg = site.config("ner", "sentiment", schedule__warmup=0.0, **changes)
    ready = prepared(cfg, folder)
    before = weights(ready.model)
    fit(module_of(cfg, ready), ready.data, steps=2)
    return set(differing(before, weights(ready.model)))


HEADS = {
    f"heads.{task}.linear.{part}" for task in ("ner", "sentiment") for part in ("weight", "bias")
}


def test_a_frozen_trunk_stays_as_it_is(site: Site, tmp_path: Path) -> None:
    assert moved(site, tmp_path, tuning__name="frozen", optimizer__weight_decay=0.5) == HEADS


def test_everything_learns(site: Site, tmp_path: Path) -> None:
    found = moved(site, tmp_path)
    assert found >= HEADS
    assert "trunk.model.embed_tokens.weight" in found


@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_layers_learn(site: Site, tmp_path: Path, layers: int) -> None:
    config = helpers.llama_config(num_hidden_layers=3, hidden_size=8)
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer())
    changes = {"tuning__name": "last", "tuning__layers": layers, "trunk__path": str(trunk)}
    found = {name for name in moved(site, tmp_path, **changes) if name not in HEADS}
    parts = {name.removeprefix("trunk.model.").rsplit(".", 1)[0] for name in found}
    assert {part.split(".")[1] for part in parts if part.startswith("layers.")} == {
        str(n) for n in range(3 - layers, 3)
    }
    assert {part for part in parts if not part.startswith("layers.")} == {"norm"}


def test_more_layers_than_there_are(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`tuning\.layers` to be at most 1.*but got 2"):
        moved(site, tmp_path, tuning__name="last", tuning__layers=2)
