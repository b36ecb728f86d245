"""Tasks that read other layers than the last one: what they read, what learns, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.errors import ConfigError
from mtl.heads.layers import LayerMix, OneLayer
from mtl.training.layers import attach_layers
from mtl.training.model_io import load_model
from mtl.training.run import train
from tests.training.site import Site, differing, fit, module_of, prepared, weights
from tests.training.test_tuning_schedules import deep

SIZE, LAYERS = 4, 3


def test_a_mix_is_elmos() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(5, SIZE) for _ in range(LAYERS)]
    states = torch.cat([layers[-1], *layers[:-1]], dim=1)  # The last one's first.
    mix = LayerMix(SIZE, LAYERS)
    torch.nn.init.normal_(mix.weights)
    mix.gamma.data.fill_(1.7)
    share = mix.weights.exp() / mix.weights.exp().sum()
    wanted = torch.zeros(5, SIZE)
    for weight, layer in zip(share, layers, strict=True):
        spread = layer.var(1, unbiased=False, keepdim=True).add(1e-5).sqrt()
        wanted = wanted + 1.7 * weight * (layer - layer.mean(1, keepdim=True)) / spread
    torch.testing.assert_close(mix(states), wanted)


def test_one_layer_of_several() -> None:
    states = torch.arange(24.0).view(2, 12)
    assert torch.equal(OneLayer(SIZE, 0)(states), states[:, :4])
    found = OneLayer(SIZE, 2)(states)
    torch.testing.assert_close(found.mean(1), torch.zeros(2))
    torch.testing.assert_close(found[0], found[1])


def config(site: Site, **heads: dict[str, Any]) -> Any:
    cfg = site.config("ner", "sentiment", schedule__warmup=0.0, trainer__max_steps=4)
    for task, head in heads.items():
        cfg.tasks[task].head = {"dropout": 0.0, **head}
    return cfg


def test_only_what_is_read_learns(site: Site, tmp_path: Path) -> None:
    """Layers above get gradients of zero, and stay as they are."""
    cfg = config(deep(site, tmp_path), ner={"layer": 1}, sentiment={"layer": 2})
    ready = prepared(cfg, tmp_path)
    before = weights(ready.model)
    fit(module_of(cfg, ready), ready.data, steps=2)
    moved = differing(before, weights(ready.model))
    for layer in range(3):
        assert any(f".layers.{layer}." in name for name in moved) == (layer < 2)
    assert "trunk.model.norm.weight" not in moved
    assert any(name.startswith("heads.ner") for name in moved)


def test_passes_do_not_matter(site: Site, tmp_path: Path) -> None:
    """Windows of one text may be run a part at a time."""
    place, found = deep(site, tmp_path), []
    for tokens in (10, 4000):
        cfg = config(place, ner={"layer": 2}, sentiment={"layer_mix": True})
        cfg.batching.tokens, cfg.trunk.max_length, cfg.trunk.stride = tokens, 8, 2
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=3)
        found.append(weights(ready.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4)
    mix = found[0]["heads.sentiment.selection.weights"]
    assert mix.abs().max() > 0
    assert len(mix) == 3


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["full", "frozen"])
def test_a_run_keeps_what_it_reads(site: Site, tmp_path: Path, tuning: str) -> None:
    """Frozen states are kept with all layers that are read."""
    cfg = config(deep(site, tmp_path), ner={"layer": 3}, sentiment={"layer_mix": True})
    cfg.tuning.name, cfg.trainer.max_steps, cfg.trunk.dropout = tuning, 8, 0.0
    found = train(cfg, tmp_path / "run")
    model = load_model(tmp_path / "run").model
    assert isinstance(model.head("sentiment").selection, LayerMix)
    assert model.trunk.inner is not None
    assert model.trunk.inner.numbers == [1, 2]
    assert "test/sentiment/accuracy" in found


def test_the_last_layer_by_its_number_is_the_last(site: Site, tmp_path: Path) -> None:
    cfg = config(deep(site, tmp_path), ner={"layer": 3})
    assert prepared(cfg, tmp_path).model.trunk.inner is None


def test_activations_that_are_computed_again(site: Site, tmp_path: Path) -> None:
    place, found = deep(site, tmp_path), []
    for again in (False, True):
        cfg = config(place, ner={"layer": 1}, sentiment={"layer_mix": True})
        cfg.trunk.gradient_checkpointing = again
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=2)
        found.append(weights(ready.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"layer": 4}, r"`tasks\.ner\.head\.layer` to be at most 3.*got 4"),
        ({"layer": 2, "layer_mix": True}, r"`tasks\.ner\.head\.layer` to be unset beside"),
    ],
)
def test_layers_that_there_are_not(
    site: Site, tmp_path: Path, head: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(config(deep(site, tmp_path), ner=head), tmp_path)


def test_texts_are_written_from_the_last_layer(site: Site, tmp_path: Path) -> None:
    cfg = deep(site, tmp_path).config("gist")
    cfg.tasks["gist"].head = {"layer": 1}
    with pytest.raises(ConfigError, match=r"head\.layer` to be unset, because texts are written"):
        prepared(cfg, tmp_path)


@pytest.mark.slow
def test_writing_beside_a_task_that_reads_another_layer(site: Site, tmp_path: Path) -> None:
    cfg = deep(site, tmp_path).config("gist", "sentiment", trainer__max_steps=2)
    cfg.tasks["sentiment"].head = {"layer": 1}
    found = train(cfg, tmp_path / "run")
    assert "test/gist/rougeL" in found


def test_encoder_decoders_have_layers_of_two_kinds(site: Site, tmp_path: Path) -> None:
    ready = prepared(config(site), tmp_path)
    trunk, task = ready.model.trunk, ready.tasks[0]
    trunk.architecture = "encoder-decoder"
    task.head_options.layer = 1
    with pytest.raises(ConfigError, match=r"head\.layer` to be unset with an encoder-decoder"):
        attach_layers(trunk, [task], ready.model.heads)


@pytest.mark.slow
def test_a_run_that_begins_with_another_reads_the_same_layers(site: Site, tmp_path: Path) -> None:
    """A mix and a chain are the other run's, and what they said is held; else it is refused."""
    place, run = deep(site, tmp_path), tmp_path / "run"
    heads: dict[str, Any] = {"ner": {"decoding": "crf"}, "sentiment": {"layer_mix": True}}
    cfg = config(place, **heads)
    cfg.trainer.max_steps = 2
    train(cfg, run)
    cfg = config(place, **heads)
    cfg.init.run, cfg.init.keep, cfg.trainer.max_steps = str(run), "distill", 2
    assert "test/ner/f1" in train(cfg, tmp_path / "next")
    for task, key in (("ner", "decoding"), ("sentiment", "layer_mix")):
        other = config(place, **{n: {**h} for n, h in heads.items()})
        del other.tasks[task].head[key]
        other.init.run = str(run)
        with pytest.raises(ConfigError, match=rf"`tasks\.{task}\.head` to be as it is in"):
            train(other, tmp_path / "other")
