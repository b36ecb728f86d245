"""Which layout a trunk gets, and which it cannot have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError
from mtl.tasks.base import restore
from mtl.tasks.span_extraction import SpanExtraction
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from tests import helpers
from tests.tasks.samples import spans


def configs() -> dict[str, Any]:
    from transformers import BertConfig, T5Config

    t5 = {"vocab_size": 400, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
    return {
        "decoder": helpers.llama_config(),
        "encoder": BertConfig(**helpers.shape()),
        "encoder-decoder": T5Config(**t5),
    }


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trunk]:
    found = {}
    for kind, config in configs().items():
        folder = tmp_path_factory.mktemp(kind)
        helpers.save_tiny(folder, config, helpers.wordpiece_tokenizer())
        found[kind] = load_trunk(TrunkConfig(name="hf", path=str(folder)))
        assert found[kind].architecture == kind
    return found


def task(layout: str) -> SpanExtraction:
    return cast("SpanExtraction", spans(layout).task("qa"))


@pytest.mark.parametrize(
    ("kind", "layout"),
    [("decoder", "branch"), ("encoder", "joint"), ("encoder-decoder", "joint")],
)
def test_auto_is_what_suits_the_trunk(trunks: dict[str, Trunk], kind: str, layout: str) -> None:
    auto, loaded = task("auto"), task("auto")
    auto.fits(trunks[kind])
    assert auto.learned.layout == layout
    restore(loaded, auto.learned.model_dump())  # As from a model folder, where no trunk is asked.
    assert loaded.learned.layout == layout
    assert type(loaded.build_head(16)) is type(auto.build_head(16))


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_both_layouts_fit_decoders_and_encoders(trunks: dict[str, Trunk], kind: str) -> None:
    for layout in ("joint", "branch"):
        one = task(layout)
        one.fits(trunks[kind])
        assert one.learned.layout == layout


def test_no_branches_on_encoder_decoders(trunks: dict[str, Trunk]) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.qa\.options\.layout.*joint.*\(t5\)"):
        task("branch").fits(trunks["encoder-decoder"])


def test_no_branches_on_encoders_that_cannot_keep_them_apart(trunks: dict[str, Trunk]) -> None:
    trunk = trunks["encoder"]
    able = trunk.capabilities
    trunk.capabilities = replace(able, share_rows=False)
    try:
        with pytest.raises(ConfigError, match=r"tasks\.qa\.options\.layout.*joint.*bert encoder"):
            task("branch").fits(trunk)
        task("joint").fits(trunk)
    finally:
        trunk.capabilities = able
