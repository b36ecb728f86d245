"""A head that chooses tokens: tied to the trunk's output layer, or with weights of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl.config.schema import Config
from mtl.errors import ConfigError
from mtl.heads.language import LanguageHead
from mtl.training.model import MultiTaskModel
from mtl.training.optim import build_optimizer, parameter_groups
from tests.tasks.samples import HIDDEN, SAMPLES, head_of, trunk_of


def output_of(vocabulary: int = 11) -> Any:
    """Stand for a trunk's output layer: three times its projection."""
    projection = nn.Linear(HIDDEN, vocabulary)

    class Output:
        exact = True

        def __init__(self) -> None:
            self.model = self.projection = projection
            self.vocabulary = vocabulary

        def __call__(self, states: Any, projection: Any = None) -> Any:
            return 3 * (projection or self.projection)(states)

    return Output()


def attached(output: Any, **options: Any) -> LanguageHead:
    head = LanguageHead(HIDDEN, task="gist", **options).eval()
    head.attach(output)
    return head


def test_a_tied_head_is_the_output_layer_and_nothing_of_its_own() -> None:
    output, states = output_of(), torch.randn(5, HIDDEN)
    head = attached(output)
    assert torch.equal(head(states), output(states))
    assert list(head.parameters()) == []
    assert head.state_dict() == {}
    assert head.linear is None
    with torch.no_grad():
        output.projection.weight.add_(1.0)
    assert torch.equal(head(states), output(states))


def test_an_own_head_has_weights_and_what_the_output_layer_does_with_them() -> None:
    output, states = output_of(), torch.randn(5, HIDDEN)
    head = attached(output, tied=False)
    assert head.linear is not None
    assert {n: tuple(v.shape) for n, v in head.state_dict().items()} == {
        "linear.weight": (11, HIDDEN)
    }
    torch.testing.assert_close(head(states), 3 * states @ head.linear.weight.T)
    head(states).sum().backward()
    assert output.projection.weight.grad is None


def test_loss_is_summed_over_targets_and_counted_by_tokens() -> None:
    head, states = attached(output_of(), label_smoothing=0.2), torch.randn(6, HIDDEN)
    labels = torch.tensor([0, 10, 3, 3, 7, 1])
    logits = head(states)
    found = head.loss(logits, {"labels": labels})
    torch.testing.assert_close(found, F.cross_entropy(logits, labels, label_smoothing=0.2))
    assert head.mass({"labels": labels}) == 6.0
    torch.testing.assert_close(head.loss(logits, {"labels": labels}, 12.0), found / 2)
    nothing = head.loss(logits[:0], {"labels": labels[:0]}, 12.0)
    assert nothing.item() == 0.0
    half = head.loss_sum(logits.bfloat16(), {"labels": labels})
    assert half.dtype == torch.float32


def test_dropout_is_of_training_alone() -> None:
    head, states = attached(output_of(), dropout=0.5), torch.randn(5, HIDDEN)
    quiet = head(states)
    assert torch.equal(quiet, head(states))
    assert not torch.equal(quiet, head.train()(states))


@pytest.mark.parametrize("output", [None, SimpleNamespace(exact=False)], ids=["none", "unknown"])
@pytest.mark.parametrize("tied", [True, False])
def test_an_output_layer_that_is_not_understood(output: Any, tied: bool) -> None:
    with pytest.raises(ConfigError, match=r"task 'gist' needs.*choose another trunk\.$"):
        attached(output, tied=tied)


@pytest.mark.parametrize("sample", ["summaries", "answers"])
@pytest.mark.parametrize("tie", [True, False])
def test_every_weight_is_in_one_optimizer_group(sample: str, tie: bool) -> None:
    """The output layer's once, with the trunk, tied or not; a head's own with the heads."""
    trunk, task = trunk_of(tie_word_embeddings=tie), SAMPLES[sample].task()
    heads = nn.ModuleDict({"gist": head_of(task, trunk)})
    model = MultiTaskModel(trunk, [task], heads)
    cfg = Config()
    groups = parameter_groups(model, cfg)
    assert trunk.output is not None
    found = [id(p) for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    wanted = {id(p): n for n, p in model.named_parameters()}
    assert sorted(found) == sorted(wanted)
    assert set(map(id, trunk.output.model.parameters())) <= set(found)
    of_heads = [len(g["params"]) for g in groups if g["name"] == "heads"]  # type: ignore[arg-type]
    assert of_heads == ([1] if sample == "answers" else [])
    embeddings = trunk.model.get_input_embeddings().weight
    assert (trunk.output.projection.weight is embeddings) == tie
    build_optimizer(model, cfg)
