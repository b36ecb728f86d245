"""Adapters: where they stand, what they add, and what is left of them when they are merged."""

from __future__ import annotations

import copy
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtl.config.schema import TuningConfig
from mtl.errors import ConfigError
from mtl.layout import Unit, build_rows
from mtl.trunk.generate import Decoding, Prompt, generate
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning import TUNINGS, adapters, merged, without_adapters
from tests.trunk.alone import assert_same_gradients, gradients, rows_alone
from tests.trunk.conftest import Load
from tests.trunk.families import DECODERS, ENCODERS, FAMILIES
from tests.trunk.test_packed import branching_rows, document_rows, run, some_ids
from tests.trunk.test_two_sided import alone, rows_for
from tests.trunk.writers import load_writer


def tune(trunk: Trunk, seed: int = 0, **options: Any) -> Trunk:
    torch.manual_seed(seed)
    TUNINGS.get("lora")(trunk, TuningConfig(**options))
    return trunk


def stir(trunk: Trunk) -> Trunk:
    """Give the adapters something to add."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in trunk.model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3, generator=generator)
    return trunk


def states(trunk: Trunk) -> Tensor:
    bidirectional = trunk.architecture != "decoder"
    units = [Unit(some_ids(6, 0), [some_ids(3, 1)]), Unit(some_ids(4, 2))]
    if trunk.architecture == "encoder":
        units = [Unit(u.document) for u in units]
    return trunk(build_rows([[u] for u in units], 0, bidirectional=bidirectional).batch)


def quiet(trunk: Trunk) -> Tensor:
    """Return the states without a graph; with one, attention may take another kernel."""
    with torch.no_grad():
        return states(trunk)


def matrices(trunk: Trunk) -> set[str]:
    """Return the weights of linear layers in numbered blocks, told by their shape and names."""
    return {
        name.removesuffix(".weight")
        for name, value in trunk.model.named_parameters()
        if value.ndim == 2 and re.search(r"\.\d+\.", name) and "relative" not in name
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_every_linear_layer_of_the_blocks_has_one(load: Load, name: str) -> None:
    trunk = load(name)
    before, wanted = quiet(trunk), matrices(trunk)
    tune(trunk)
    assert set(adapters(trunk.model)) == wanted
    assert torch.equal(quiet(trunk), before), "B is zero"
    stir(trunk)
    assert not torch.allclose(quiet(trunk), before, atol=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_learn_and_nothing_else(load: Load, name: str) -> None:
    trunk = stir(tune(load(name)))
    states(trunk).square().sum().backward()
    learned = {n for n, p in trunk.named_parameters() if p.grad is not None and p.grad.any()}
    ends = [f"model.{a}.lora_{m}.default.weight" for a in adapters(trunk.model) for m in "AB"]
    assert learned == set(ends)
    assert learned == {n for n, p in trunk.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_layers_are_plain_and_give_the_same(load: Load, name: str) -> None:
    plain = load(name)
    trunk = stir(tune(load(name), rank=3, alpha=5.0))
    found, before = quiet(trunk), {n: v.clone() for n, v in trunk.state_dict().items()}
    with merged(trunk.model):
        assert not adapters(trunk.model)
        assert trunk.state_dict().keys() == plain.state_dict().keys()
        torch.testing.assert_close(quiet(trunk), found, rtol=1e-4, atol=1e-5)
        plain.load_state_dict(trunk.state_dict())
    torch.testing.assert_close(quiet(plain), found, rtol=1e-4, atol=1e-5)
    after = trunk.state_dict()
    assert all(torch.equal(after[n], value) for n, value in before.items())
    assert torch.equal(quiet(trunk), found)
    with without_adapters(trunk.model):
        assert torch.equal(quiet(trunk), quiet(load(name)))


def reference(trunk: Trunk, names: list[str]) -> Any:
    """Return peft's own model around the same trunk, with the same adapters."""
    from peft import LoraConfig, get_peft_model

    model = trunk.model
    own = {n: p.detach().clone() for n, p in model.named_parameters() if "lora_" in n}
    with without_adapters(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft reads an attribute that transformers deprecates.
        config = LoraConfig(r=4, lora_alpha=8, target_modules=names, bias="none")
        wrapped: Any = get_peft_model(_copy(model), config)
    theirs = dict(wrapped.base_model.model.named_parameters())
    for name, value in own.items():
        theirs[name].data.copy_(value)
    return wrapped


def _copy(model: Any) -> Any:
    found = copy.deepcopy(model)
    found.__dict__.pop("peft_config", None)
    return found.eval()


def learned(model: Any, found: Tensor) -> dict[str, Tensor]:
    return {n: g for n, g in gradients(model, found).items() if "lora_" in n}


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("llama", ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
        ("qwen3", ["q_proj", "v_proj"]),
        ("gpt2", ["c_attn", "c_proj", "c_fc"]),
        ("bert", ["query", "value"]),
        ("roberta", ["attention.self.key"]),
    ],
)
def test_packed_rows_have_the_gradients_of_pefts_own_model(
    load: Load, name: str, layers: list[str]
) -> None:
    rows = branching_rows() if name in DECODERS else document_rows()
    trunk = stir(tune(load(name), rank=4, alpha=8, target_modules=layers))
    theirs = reference(trunk, layers).base_model.model
    found, wanted = run(trunk, rows, bidirectional=name in ENCODERS), rows_alone(theirs, rows)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_gradients(learned(trunk.model, found), learned(theirs, wanted))


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_encoder_decoders_have_the_gradients_of_pefts_own_model(load: Load, name: str) -> None:
    layers = {"t5": ["q", "v", "wi"], "bart": ["q_proj", "fc1"]}[name]
    trunk = stir(tune(load(name), rank=4, alpha=8, target_modules=layers))
    theirs = Trunk(
        reference(trunk, layers).base_model.model,
        trunk.architecture,
        trunk.capabilities,
        trunk.attention,
        trunk.tokenizer,
    )
    rows = rows_for(trunk)
    found = run(trunk, rows, bidirectional=True)
    wanted = torch.cat([alone(theirs, unit) for row in rows for unit in row])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_gradients(learned(trunk.model, found), learned(theirs.model, wanted))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_activations_that_are_computed_again(load: Load, name: str) -> None:
    """The embeddings do not learn, and gradients reach the first adapter all the same."""
    found = []
    for again in (False, True):
        trunk = stir(tune(load(name).train(), rank=4))
        if again:
            newer = getattr(trunk.model, "activation_checkpointing_enable", None)
            (newer or trunk.model.gradient_checkpointing_enable)()
        found.append(gradients(trunk.model, states(trunk)))
    assert found[0].keys() == found[1].keys()
    if name == "llama":  # GPT-2 has dropout of its own.
        assert_same_gradients(found[1], found[0])


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_texts_are_written_with_the_adapters(tmp_path: Path, name: str) -> None:
    """Also where the output layer's weights are the embedding's."""
    trunk = load_writer(name, tmp_path, tie_word_embeddings=True)
    start = trunk.start if trunk.start is not None else 9
    document, branch = some_ids(5, 0), some_ids(2, 1)
    if name == "t5":
        branch = branch[:1] * 0 + start
    prompt = [Prompt(document, branch)]
    decoding = Decoding(max_new_tokens=8, min_new_tokens=8)
    plain = generate(trunk, prompt, decoding)[0][0].ids
    stir(tune(trunk))
    found = generate(trunk, prompt, decoding)[0][0].ids
    with merged(trunk.model):
        assert generate(trunk, prompt, decoding)[0][0].ids.tolist() == found.tolist()
    assert found.tolist() != plain.tolist()
    embedding = trunk.model.get_input_embeddings().weight
    assert not embedding.requires_grad
    assert trunk.projection is not None
    assert not any(p.requires_grad for p in trunk.projection.parameters())


def test_some_layers_by_the_end_of_their_names(load: Load) -> None:
    trunk = tune(load("bert"), target_modules=["self.query", "encoder.layer.1.output.dense"])
    assert set(adapters(trunk.model)) == {
        "encoder.layer.0.attention.self.query",
        "encoder.layer.1.attention.self.query",
        "encoder.layer.1.output.dense",
    }


@pytest.mark.parametrize(
    ("name", "asked", "near"),
    [
        ("bert", "qery", "{query, "),
        ("llama", "q_porj", "{q_proj, "),
        ("llama", "embed_tokens", "{q_proj, k_proj, "),
        ("gpt2", "attn.c_atn", "{c_attn"),
        ("llama", "lm_head", "{q_proj, k_proj, "),
    ],
)
def test_a_layer_that_there_is_not(load: Load, name: str, asked: str, near: str) -> None:
    with pytest.raises(ConfigError, match=r"^Expected `tuning\.target_modules`") as caught:
        tune(load(name), target_modules=[asked])
    assert near in str(caught.value)
    assert f"but got '{asked}'." in str(caught.value)


def test_an_empty_list(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"at least one linear layer.*empty list"):
        tune(load("bert"), target_modules=[])


def test_dropout_is_the_adapters_own(load: Load) -> None:
    trunk = stir(tune(load("llama"), dropout=0.5))
    still = quiet(trunk)
    assert torch.equal(quiet(trunk), still)
    trunk.train()
    torch.manual_seed(0)
    first = quiet(trunk)
    torch.manual_seed(0)
    assert torch.equal(quiet(trunk), first)
    assert not torch.equal(first, still)
