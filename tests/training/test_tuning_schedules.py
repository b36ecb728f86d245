"""Methods that change from step to step: AdaLoRA's ranks, unfreezing; and rates of layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.errors import ConfigError
from mtl.training.model_io import load_model
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.trunk.tuning import adapters
from mtl.trunk.tuning.adalora import RankSchedule
from mtl.trunk.tuning.gradual import Unfreezing
from tests import helpers
from tests.training.resuming import check_equal, killed, resumed, run_config
from tests.training.site import Site, differing, fit, module_of, prepared, weights

ADALORA: dict[str, Any] = {
    "tuning__name": "adalora",
    "tuning__rank": 2,
    "tuning__initial_rank": 4,
    "tuning__rank_every": 1,
    "tuning__dropout": 0.1,
    "trunk__lr": 5e-2,
}
GRADUAL: dict[str, Any] = {"tuning__name": "gradual", "tuning__unfreeze_every": 3}


def deep(site: Site, folder: Path, layers: int = 3) -> Site:
    """Return a site whose trunk has more layers."""
    config = helpers.llama_config(num_hidden_layers=layers, hidden_size=8)
    return Site(helpers.save_tiny(folder / "trunk", config, helpers.bpe_tokenizer()), site.data)


METHODS: list[dict[str, Any]] = [
    ADALORA,
    GRADUAL,
    {"tuning__name": "rslora", "tuning__dropout": 0.1},
    {"tuning__name": "dora", "tuning__dropout": 0.1},
    {"tuning__name": "ia3"},
    {"tuning__name": "vera", "tuning__rank": 4, "tuning__dropout": 0.1},
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(method, marks=() if method is ADALORA else pytest.mark.slow)
        for method in METHODS
    ],
    ids=[str(method["tuning__name"]) for method in METHODS],
)
def kind(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param
    return found


@pytest.fixture(scope="module")
def whole(kind: dict[str, Any], site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of seven steps that nothing stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("schedule")
    train(run_config(site, **kind), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 6])
def test_killed_and_resumed(
    kind: dict[str, Any],
    site: Site,
    whole: Path,
    tmp_path: Path,
    step: int,
) -> None:
    cfg = run_config(site, **kind)
    with killed(MultiTaskModule, "training_step", step):
        train(cfg, tmp_path)
    train(resumed(cfg, tmp_path), tmp_path)
    check_equal(tmp_path, whole)


def schedule_of(module: MultiTaskModule) -> RankSchedule:
    found = module.tuning
    assert isinstance(found, RankSchedule)
    return found


def test_the_budget_ends_at_the_target(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment", trainer__max_steps=12, schedule__warmup=0.0, **ADALORA)
    ready = prepared(cfg, tmp_path)
    module = module_of(cfg, ready)
    schedule = schedule_of(module)
    budgets = []
    before = schedule.after_update

    def counting(done: int, norm: torch.Tensor) -> None:
        before(done, norm)
        budgets.append(sum(schedule.ranks().values()))

    schedule.after_update = counting  # type: ignore[method-assign]
    fit(module, ready.data, steps=12)
    layers = len(adapters(ready.model.trunk.model))
    assert budgets[0] == 4 * layers, "the warm-up's one step"
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[7:] == [2 * layers] * 5, "from the eighth step on: 12 less 30%"
    assert len(set(schedule.ranks().values())) > 1, "they are not all alike"
    assert module.training_logs["train/trunk/rank"] == 2.0


@pytest.mark.slow
def test_ranks_are_kept_and_the_model_is_plain(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", trainer__max_steps=6, **ADALORA)
    train(cfg, tmp_path)
    facts = json.loads((tmp_path / "report" / "tuning.json").read_text())
    assert facts["initial_rank"] == 4
    assert len(facts["ranks"]) == 7
    assert all(0 <= rank <= 4 for rank in facts["ranks"].values())
    assert adapters(load_model(tmp_path).model.trunk.model) == {}
    assert (tmp_path / "model" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("tokens", [24, 400])
def test_the_penalty_is_pefts_once_a_step(site: Site, tmp_path: Path, tokens: int) -> None:
    """However many passes a step has."""
    cfg = site.config("sentiment", batching__tokens=tokens, **ADALORA)
    ready = prepared(cfg, tmp_path)
    schedule = schedule_of(module_of(cfg, ready))
    named = dict(ready.model.trunk.model.named_parameters())
    wanted = torch.zeros(())
    factors = [p for n, p in named.items() if "lora_A" in n or "lora_B" in n]
    for name, p in named.items():
        if "lora_A" in name or "lora_B" in name:
            product = p @ p.T if "lora_A" in name else p.T @ p
            wanted = wanted + torch.norm(product - torch.eye(len(product)), p="fro")
    wanted = 0.5 * wanted / len(factors)
    gradients = torch.autograd.grad(wanted, factors)
    schedule.before_update(0)
    for factor, gradient in zip(factors, gradients, strict=True):
        torch.testing.assert_close(factor.grad, gradient)
    assert schedule.logs()["orthogonality"] == pytest.approx(float(wanted.detach()))


def test_passes_do_not_matter(site: Site, tmp_path: Path) -> None:
    found = []
    for tokens in (24, 400):
        own = {**ADALORA, "tuning__dropout": 0.0, "trunk__dropout": 0.0}
        cfg = site.config("sentiment", batching__tokens=tokens, trainer__max_steps=6, **own)
        cfg.tasks["sentiment"].head = {"dropout": 0.0}
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=6)
        found.append(weights(ready.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4)


def test_a_step_left_out_says_nothing_of_importance(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", trainer__max_steps=10, **ADALORA)
    ready = prepared(cfg, tmp_path)
    schedule = schedule_of(module_of(cfg, ready))
    for p in ready.model.trunk.parameters():
        p.grad = torch.full_like(p, torch.nan) if p.requires_grad else None
    schedule.after_update(1, torch.tensor(torch.nan))
    assert schedule.state()["exp_avg_ipt"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning__rank_every": 9}, r"`tuning\.rank_every` to be at most .* 6 of the run's 10.*9"),
        ({"tuning__rank_warmup": 0.7}, r"`tuning\.rank_every`.* 0 of the run's 10.*rank_settled"),
    ],
)
def test_too_few_steps_for_ranks(
    site: Site, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    cfg = site.config("sentiment", trainer__max_steps=10, **{**ADALORA, **changes})
    with pytest.raises(ConfigError, match=message):
        module_of(cfg, prepared(cfg, tmp_path))


def test_layers_learn_one_after_the_other(site: Site, tmp_path: Path) -> None:
    options = {"tuning__name": "gradual", "tuning__unfreeze_every": 2}
    cfg = deep(site, tmp_path).config(
        "sentiment", trainer__max_steps=8, schedule__warmup=0.0, **options
    )
    ready = prepared(cfg, tmp_path)
    module = module_of(cfg, ready)
    moved: list[set[str]] = []
    before = [weights(ready.model)]
    after_update = module.tuning.after_update

    def look(done: int, norm: torch.Tensor) -> None:
        after_update(done, norm)
        now = weights(ready.model)
        moved.append(set(differing(before[0], now)))
        before[0] = now

    module.tuning.after_update = look  # type: ignore[method-assign]
    fit(module, ready.data, steps=8)
    for step, names in enumerate(moved):
        for layer in range(3):
            moves = any(f".layers.{layer}." in name for name in names)
            assert moves == (2 - layer <= step // 2), (step, layer)
        assert any("embed_tokens" in name for name in names) == (step >= 6)
        assert "trunk.model.norm.weight" in names
        assert any(name.startswith("heads.") for name in names)
    assert module.training_logs["train/trunk/layers"] == 4.0


def test_half_of_the_run_where_nothing_is_said(site: Site, tmp_path: Path) -> None:
    cfg = deep(site, tmp_path).config("sentiment", trainer__max_steps=20, tuning__name="gradual")
    module = module_of(cfg, prepared(cfg, tmp_path))
    assert isinstance(module.tuning, Unfreezing)
    assert (module.tuning.layers, module.tuning.every) == (3, 3)


def test_layers_that_would_never_learn(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", trainer__max_steps=3, **GRADUAL)
    with pytest.raises(ConfigError, match=r"`tuning\.unfreeze_every` to let .* 3 steps end.*got 3"):
        module_of(cfg, prepared(cfg, tmp_path))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_rates_fall_from_layer_to_layer(site: Site, tmp_path: Path, tuning: str) -> None:
    changes: dict[str, Any] = {"trunk__lr": 0.1, "tuning__layer_decay": 0.5}
    cfg = deep(site, tmp_path).config("sentiment", tuning__name=tuning, **changes)
    ready = prepared(cfg, tmp_path)
    optimizer: Any = module_of(cfg, ready).configure_optimizers()
    rate = {
        id(p): group["initial_lr"]
        for group in optimizer["optimizer"].param_groups
        for p in group["params"]
    }
    for name, p in ready.model.trunk.named_parameters():
        if not p.requires_grad:
            assert id(p) not in rate
            continue
        layer = next((n for n in range(3) if f".layers.{n}." in name), None)
        above = 2 - layer if layer is not None else 3 if "embed" in name else 0
        assert rate[id(p)] == pytest.approx(0.1 * 0.5**above), name
    assert {rate[id(p)] for p in ready.model.heads.parameters()} == {cfg.head.lr}
    named = [g["initial_lr"] for g in optimizer["optimizer"].param_groups if g["name"] == "trunk"]
    assert named == sorted(named), "what is logged as the trunk's is the highest"


def test_factors_of_ia3_do_not_decay(site: Site, tmp_path: Path) -> None:
    cfg = site.config("sentiment", tuning__name="ia3", optimizer__weight_decay=0.5)
    ready = prepared(cfg, tmp_path)
    optimizer: Any = module_of(cfg, ready).configure_optimizers()
    groups = [g for g in optimizer["optimizer"].param_groups if g["name"] == "trunk"]
    assert [g["weight_decay"] for g in groups] == [0.0]


@pytest.mark.parametrize("key", ["tuning__layer_decay", "tuning__name"])
def test_layers_that_cannot_be_told_apart(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("mtl.trunk.tuning.base._outermost_lists", lambda module: iter(()))
    changes = {key: 0.5 if key == "tuning__layer_decay" else "gradual"}
    message = rf"`{key.replace('__', '.')}` to be .* a llama model cannot be told apart"
    with pytest.raises(ConfigError, match=message):
        prepared(site.config("sentiment", **changes), tmp_path)
