"""Which parameters learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.layout import Unit, build_rows
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning import TUNINGS, layer_list
from tests.trunk.conftest import Load
from tests.trunk.families import FAMILIES
from tests.trunk.test_packed import some_ids


def learning(trunk: Trunk) -> set[str]:
    return {n for n, p in trunk.model.named_parameters() if p.requires_grad}


def reached(trunk: Trunk, layer: nn.Module) -> set[str]:
    """Parameters that a gradient reaches when nothing before `layer` can have any."""

    def cut(module: nn.Module, args: Any, kwargs: Any) -> Any:
        def detach(value: Any) -> Any:
            return value.detach() if isinstance(value, Tensor) else value

        return tuple(map(detach, args)), {k: detach(v) for k, v in kwargs.items()}

    handle = layer.register_forward_pre_hook(cut, with_kwargs=True)
    batch = build_rows(
        [[Unit(some_ids(6, 0))]], 0, bidirectional=trunk.architecture != "decoder"
    ).batch
    trunk(batch).square().sum().backward()
    handle.remove()
    return {n for n, p in trunk.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_layer_and_what_follows_it(load: Load, name: str) -> None:
    trunk = load(name)
    wanted = reached(trunk, layer_list(trunk.model)[1][-1])
    TUNINGS.get("last")(trunk, TuningConfig(layers=1))
    assert learning(trunk) == wanted
    assert 0 < len(wanted) < len(list(trunk.parameters())) / 1.5


def test_all_layers_but_not_the_embeddings(load: Load) -> None:
    trunk = load("llama")
    TUNINGS.get("last")(trunk, TuningConfig(layers=2))
    frozen = {n for n, _ in trunk.model.named_parameters()} - learning(trunk)
    assert frozen == {"embed_tokens.weight"}


def test_full_and_frozen(load: Load) -> None:
    trunk = load("gpt2")
    TUNINGS.get("frozen")(trunk, TuningConfig())
    assert not learning(trunk)
    TUNINGS.get("full")(trunk, TuningConfig())
    assert learning(trunk) == {n for n, _ in trunk.model.named_parameters()}


def test_more_layers_than_there_are(load: Load) -> None:
    message = r"Expected `tuning.layers` to be at most 2, the layers of the trunk, but got 3\."
    with pytest.raises(ConfigError, match=message):
        TUNINGS.get("last")(load("bert"), TuningConfig(layers=3))


def test_a_trunk_without_layers() -> None:
    with pytest.raises(ConfigError, match=r"`tuning.name` to be full or frozen"):
        layer_list(torch.nn.Linear(2, 2))
