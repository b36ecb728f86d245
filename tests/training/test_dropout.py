"""Dropout is dropout, and attention PyTorch's, but for how the random numbers are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mtl.training import dropout
from mtl.training.dropout import cheap_dropout, noise
from tests.helpers import llama_config, loud, shape, tiny_model
from tests.training.site import Site, fit, module_of, prepared

RATE = 0.25
CPU = torch.device("cpu")
LEAST = torch.finfo(torch.float32).min


@pytest.fixture
def drops_nothing(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let every factor be one; returns the shapes asked for."""
    asked: list[tuple[int, ...]] = []

    def ones(size: Any, rate: float, dtype: torch.dtype = torch.float32) -> Tensor:
        assert 0 < rate < 1
        asked.append(tuple(size))
        return torch.ones(size, dtype=dtype)

    def all_kept(size: Any, rate: float) -> Tensor:
        return ones(size, rate) * (1 - rate)

    monkeypatch.setattr(dropout, "noise", ones)
    monkeypatch.setattr(dropout, "kept", all_kept)
    return asked


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_elements_are_dropped_alone_and_at_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    found = noise((1001, 99), rate)
    assert found.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    flat = (found == 0).float().flatten() - rate
    # 99,099 elements; five standard deviations of a mean are at most 0.008, of a product's 0.016.
    assert abs(float(flat.mean())) < 0.008
    for apart in (1, 2, 3, 4, 99):  # Four elements come of one number.
        together = float((flat[apart:] * flat[:-apart]).mean()) / (rate * (1 - rate))
        assert abs(together) < 0.016
    for place in range(4):
        assert abs(float(flat[place::4].mean())) < 0.016


@pytest.mark.parametrize("rate", [1e-7, 0.999999])
def test_rates_finer_than_the_random_numbers(rate: float) -> None:
    found = noise((3, 5), rate)
    assert found.unique().numel() == 1 or rate > 0.5
    assert found.isfinite().all()


@pytest.mark.parametrize("size", [(), (1,), (0, 3), (2, 3, 5)])
def test_factors_have_the_shape_asked_for(size: tuple[int, ...]) -> None:
    assert noise(size, RATE).shape == size
    assert noise(size, RATE, torch.bfloat16).dtype == torch.bfloat16


def test_dropout_follows_the_seed_and_ends_with_training() -> None:
    layer, states, found = nn.Dropout(RATE), torch.ones(7, 3), []
    with cheap_dropout(CPU):
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            found.append(layer(states))
        torch.manual_seed(1)
        assert torch.equal(F.dropout(states.clone(), RATE, inplace=True), found[0])
        assert layer(states.bfloat16()).dtype == torch.bfloat16
        assert torch.equal(F.dropout(states, 0.0), states)
        assert F.dropout(states, 1.0).abs().sum() == 0
        assert layer.eval()(states) is states
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    torch.manual_seed(1)
    assert torch.equal(noise((7, 3), RATE), found[0]), "ours, not PyTorch's"


def test_pytorch_is_as_it_was_afterwards() -> None:
    before = F.dropout, F.scaled_dot_product_attention
    with cheap_dropout(CPU):
        assert F.dropout is dropout.dropout
    with pytest.raises(RuntimeError), cheap_dropout(CPU):
        F.dropout(torch.ones(2, requires_grad=True), RATE, inplace=True)
    with cheap_dropout(torch.device("cuda")):
        assert (F.dropout, F.scaled_dot_product_attention) == before
    assert (F.dropout, F.scaled_dot_product_attention) == before


def masks(kind: str) -> Tensor | None:
    """Return (2, 1, 5, 6), or (2, 4, 5, 6) where heads differ; every query sees something."""
    if kind == "none":
        return None
    random = torch.Generator().manual_seed(3)
    if kind == "bias":
        return torch.randn(2, 4, 5, 6, generator=random, requires_grad=True)
    seen = torch.rand(2, 1, 5, 6, generator=random) < 0.6
    seen[..., 2] = True
    if kind == "boolean":
        return seen
    return torch.zeros(2, 1, 5, 6).masked_fill(~seen, LEAST if kind == "float" else -torch.inf)


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("kind", ["none", "causal", "boolean", "float", "infinite", "bias"])
def test_attention_that_drops_nothing_is_that_of_pytorch(
    kind: str, grouped: bool, scale: float | None, drops_nothing: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    heads = 2 if grouped else 4
    sizes = [(2, 4, 5, 8), (2, heads, 6, 8), (2, heads, 6, 3)]
    query, key, value = states = [torch.randn(size, requires_grad=True) for size in sizes]
    causal = kind == "causal"
    mask = masks("none" if causal else kind)
    options: dict[str, Any] = {"is_causal": causal, "scale": scale, "enable_gqa": grouped}
    wanted = F.scaled_dot_product_attention(query, key, value, mask, **options)
    with cheap_dropout(CPU):
        found = F.scaled_dot_product_attention(query, key, value, mask, dropout_p=RATE, **options)
    assert drops_nothing == [(2, 4, 5, 6)]
    torch.testing.assert_close(found, wanted)
    learning = [*states, mask] if mask is not None and mask.requires_grad else states
    ours = torch.autograd.grad(found.square().sum(), learning)
    torch.testing.assert_close(ours, torch.autograd.grad(wanted.square().sum(), learning))


def test_attention_drops_weights_at_its_rate() -> None:
    torch.manual_seed(0)
    query = key = torch.zeros(8, 4, 32, 32)  # Every key weighs the same.
    value = torch.eye(32).expand(8, 4, 32, 32)
    with cheap_dropout(CPU):
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=RATE)
    # 32,768 weights, each 0 or 1 / (32 · 0.75); five standard deviations.
    assert float((found == 0).float().mean()) == pytest.approx(RATE, abs=0.012)
    assert found[found > 0].unique().tolist() == pytest.approx([1 / (32 * 0.75)])


@pytest.mark.parametrize("kind", ["boolean", "least", "infinite"])
def test_a_query_that_sees_nothing_is_finite(
    kind: str, drops_nothing: list[tuple[int, ...]]
) -> None:
    query, key = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 3, 4)
    value = torch.arange(3.0).view(1, 1, 3, 1)
    seen = torch.tensor([[True, False, False], [False, False, False]])
    low = LEAST if kind == "least" else -torch.inf
    mask = seen if kind == "boolean" else torch.zeros(2, 3).masked_fill(~seen, low)
    with cheap_dropout(CPU):
        found = F.scaled_dot_product_attention(query, key, value, mask, dropout_p=RATE)
    assert found.flatten().tolist() == [0.0, 1.0]


def test_attention_without_dropout_or_in_low_precision_is_left_to_pytorch(
    drops_nothing: list[tuple[int, ...]],
) -> None:
    states = torch.randn(2, 1, 5, 8)
    with cheap_dropout(CPU):
        attend = F.scaled_dot_product_attention
        attend(states, states, states)
        low = states.bfloat16()
        attend(low, low, low, dropout_p=RATE)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            attend(states, states, states, dropout_p=RATE)
    assert drops_nothing == []


MODELS = {
    "bert": hf.BertConfig(**shape()),
    "gpt2": hf.GPT2Config(
        vocab_size=400,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "llama": llama_config(attention_dropout=0.1),
    "t5": hf.T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2),
}


def run(model: Any) -> Tensor:
    """Return the last states of two rows, the second one padded."""
    ids, mask = torch.arange(4, 24).view(2, 10), torch.ones(2, 10, dtype=torch.long)
    mask[1, 7:] = 0
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    found: Tensor = model(ids, attention_mask=mask, **more).last_hidden_state
    return found.masked_select(mask[..., None].bool())


@pytest.mark.parametrize("name", MODELS)
def test_models_that_drop_nothing_train_as_they_answer(
    name: str, drops_nothing: list[tuple[int, ...]]
) -> None:
    model = loud(tiny_model(MODELS[name]))
    wanted = run(model.eval())
    with cheap_dropout(CPU):
        found = run(model.train())
    torch.testing.assert_close(found, wanted)
    assert any(len(size) == 4 for size in drops_nothing), "the weights of attention"


@pytest.mark.parametrize("reentrant", [True, False])
def test_activations_computed_again_draw_the_same(reentrant: bool) -> None:
    torch.manual_seed(0)
    first, layer = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(RATE))
    gradients = []
    for again in (False, True):
        layer.zero_grad()
        torch.manual_seed(5)
        with cheap_dropout(CPU):
            states = first(torch.ones(3, 8))
            found = checkpoint(layer, states, use_reentrant=reentrant) if again else layer(states)
            torch.as_tensor(found).square().sum().backward()
        gradients.append([p.grad for p in layer.parameters()])
    torch.testing.assert_close(*gradients)


def test_training_drops_so_and_evaluation_does_not(
    site: Site, tmp_path: Path, drops_nothing: list[tuple[int, ...]]
) -> None:
    cfg = site.config("ner", "sentiment", batching__tokens=1000)
    ready = prepared(cfg, tmp_path)
    own = F.dropout
    fit(module_of(cfg, ready), ready.data, steps=2)
    assert F.dropout is own
    # In each step the attention of one layer, and two heads.
    assert sorted(len(size) for size in drops_nothing) == [2] * 4 + [4] * 2


@pytest.mark.parametrize("mask", [None, "causal", "float"])
def test_weights_that_are_computed_again_have_the_same_gradient(
    monkeypatch: pytest.MonkeyPatch, mask: str | None
) -> None:
    """And both have that of the four steps of attention, one after the other."""
    torch.manual_seed(0)
    parts = [torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3)]
    bias = torch.randn(5, 5) if mask == "float" else None
    found = []
    for few in (0, 1 << 20):
        monkeypatch.setattr(dropout, "FEW", few)
        torch.manual_seed(1)
        query, key, value = parts
        seen = dropout.attention(query, key, value, bias, RATE, is_causal=mask == "causal")
        found.append([seen, *torch.autograd.grad(seen.square().sum(), parts)])
    torch.manual_seed(1)
    factors = noise((2, 3, 5, 5), RATE)
    query, key, value = parts
    scores = query @ key.transpose(-1, -2) / 2
    if mask == "causal":
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    elif bias is not None:
        scores = scores + bias
    seen = (scores.softmax(-1) * factors) @ value
    wanted = [seen, *torch.autograd.grad(seen.square().sum(), parts)]
    for one, other, expected in zip(*found, wanted, strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(other, expected, rtol=1e-5, atol=1e-5)
