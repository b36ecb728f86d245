"""One step's loss and gradients against each example alone, through transformers' own call.

Dropout is off here: it is the one thing that depends on how a step is cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.config.schema import Config
from mtl.training.module import MultiTaskModule
from mtl.training.setup import Prepared
from tests.training.site import Site, fit, module_of, prepared

WEIGHTS = {"ner": 0.7, "sentiment": 2.0}
LABELS = ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
MOODS = ["negative", "neutral", "positive"]


class Gradients(L.Callback):
    """Keeps what the optimiser is given."""

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any
    ) -> None:
        self.found = {
            name: parameter.grad.clone()
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None
        }


def one_step(site: Site, folder: Path, **changes: Any) -> tuple[MultiTaskModule, Gradients, Any]:
    """Take one step of 12 examples; returns the module, its gradients and the step."""
    options = {"trunk__dropout": 0.0, "batching__examples": 12, "trainer__gradient_clip_val": None}
    cfg = site.config("ner", "sentiment", **{**options, **changes})
    ready = quiet(cfg, folder)
    step = ready.data.train_dataloader().step(0)
    module, gradients = module_of(cfg, ready, steps=1), Gradients()
    fit(module, ready.data, callbacks=[gradients])
    return module, gradients, step


def quiet(cfg: Config, folder: Path) -> Prepared:
    for name, task in cfg.tasks.items():
        task.head["dropout"] = 0.0
        task.weight = WEIGHTS[name]
    return prepared(cfg, folder)


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
@pytest.mark.parametrize("pack", [True, False], ids=["packed", "padded"])
def test_many_passes_equal_one(site: Site, tmp_path: Path, attention: str, pack: bool) -> None:
    options = {"trunk__attention": attention, "batching__pack": pack}
    _, small, steps = one_step(site, tmp_path, batching__tokens=16, **options)
    _, large, step = one_step(site, tmp_path, batching__tokens=4096, **options)
    assert len(steps.micro_batches) > 4
    assert len(step.micro_batches) == 1 or not pack
    assert small.found.keys() == large.found.keys()
    for name, expected in large.found.items():
        torch.testing.assert_close(
            small.found[name], expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max())
        )


@pytest.mark.parametrize("tokens", [16, 4096])
def test_equals_each_example_alone(site: Site, tmp_path: Path, tokens: int) -> None:
    stays = {"trunk__lr": 0.0, "head__lr": 0.0}
    module, gradients, step = one_step(site, tmp_path, batching__tokens=tokens, **stays)
    assert step.denominators["ner"] > 2 * step.denominators["sentiment"] > 0
    fresh = quiet(site.config("ner", "sentiment"), tmp_path)
    losses = reference(module, fresh, chosen(fresh))
    for name, loss in losses.items():
        logged = module.training_logs[f"train/{name}/loss"]
        assert logged == pytest.approx(float(loss.detach()), rel=1e-5)
    total = torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()
    module.zero_grad()
    total.backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(
                gradients.found[name],
                parameter.grad,
                rtol=1e-4,
                atol=1e-5 * float(parameter.grad.abs().max()),
            )


def chosen(ready: Prepared) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the first step, by task."""
    names = list(ready.model.tasks)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    planner = ready.data.planner
    planner.examples = 12
    for group in planner.epoch(0).step(0):
        for task, example in group:
            train = ready.splits[names[task]].train
            assert train is not None
            rows[names[task]].append(train[example])
    assert sum(map(len, rows.values())) == 12
    return rows


def reference(
    module: MultiTaskModule, ready: Prepared, rows: dict[str, list[dict[str, Any]]]
) -> dict[str, Tensor]:
    """Return each task's loss: one sentence, one call, no packing, no padding, no mask."""
    model, tokenizer = module.model.trunk.model.train(), ready.encoder.tokenizer
    heads: Any = module.model.heads
    sums = {name: torch.zeros(()) for name in rows}
    targets = dict.fromkeys(rows, 0)
    for name, examples in rows.items():
        linear = heads[name].linear
        for row in examples:
            tokens = tokenizer(" " + row["text"], return_offsets_mapping=True, return_tensors="pt")
            states = model(input_ids=tokens["input_ids"]).last_hidden_state[0]
            if name == "ner":
                ends = tokens["offset_mapping"][0][:, 1].tolist()
                read = [ends.index(end + 1) for end in word_ends(row["tokens"])]
                gold = [LABELS.index(label) for label in row["labels"]]
            else:
                read, gold = [-1], [MOODS.index(row["label"])]
            logits = states[read] @ linear.weight.T + linear.bias
            sums[name] = sums[name] + F.cross_entropy(logits, torch.tensor(gold), reduction="sum")
            targets[name] += len(gold)
    return {name: sums[name] / targets[name] for name in rows}


def word_ends(words: list[str]) -> list[int]:
    """Return where words end that single spaces join."""
    return [len(" ".join(words[: n + 1])) for n in range(len(words))]
