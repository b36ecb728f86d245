"""Losses against torch's own means, and against themselves over split batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.heads.base import Head
from mtl.heads.classification import ClassificationHead, MultiLabelHead
from mtl.heads.regression import RegressionHead

Targets = dict[str, Tensor]
WEIGHTS = [0.5, 2.0, 1.0, 4.0]
D, C, G = 6, 4, 24


def classes(**options: float | list[float]) -> tuple[Head, Targets]:
    return ClassificationHead(D, C, **options), {"labels": torch.randint(C, (G,))}  # type: ignore[arg-type]


def several(**options: float | list[float]) -> tuple[Head, Targets]:
    return MultiLabelHead(D, C, **options), {"labels": torch.randint(2, (G, C))}  # type: ignore[arg-type]


def numbers() -> tuple[Head, Targets]:
    return RegressionHead(D), {"values": torch.randn(G, dtype=torch.float64)}


CASES = {
    "plain": classes,
    "smooth": lambda: classes(label_smoothing=0.2),
    "weighted": lambda: classes(class_weights=WEIGHTS),
    "both": lambda: classes(label_smoothing=0.2, class_weights=WEIGHTS),
    "focal": lambda: classes(gamma=2.0),
    "focal, weighted": lambda: classes(gamma=0.5, class_weights=WEIGHTS),
    "several": several,
    "several, weighted": lambda: several(class_weights=WEIGHTS),
    "several, focal": lambda: several(gamma=2.0, class_weights=WEIGHTS),
    "numbers": numbers,
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Head, Targets]:
    torch.manual_seed(0)
    head, targets = CASES[request.param]()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head, targets


def torch_mean(head: Head, logits: Tensor, targets: Targets) -> Tensor:
    """What torch's mean reduction makes of the same options."""
    if isinstance(head, ClassificationHead | MultiLabelHead) and head.gamma:
        return focal_mean(head, logits, targets["labels"])
    if isinstance(head, ClassificationHead):
        return F.cross_entropy(
            logits,
            targets["labels"],
            weight=head.class_weights,
            label_smoothing=head.label_smoothing,
        )
    if isinstance(head, MultiLabelHead):
        return F.binary_cross_entropy_with_logits(
            logits, targets["labels"].float(), pos_weight=head.class_weights
        )
    return F.mse_loss(logits[:, 0], targets["values"].float())


def focal_mean(head: Head, logits: Tensor, labels: Tensor) -> Tensor:
    """Equation 5 of Lin et al. 2017, a decision at a time; the mean is torch's."""
    weights, gamma = head.class_weights, head.gamma
    assert isinstance(weights, Tensor)
    assert isinstance(gamma, float)
    if labels.ndim == 1:
        total, mass = logits.new_zeros(()), logits.new_zeros(())
        for row, label in zip(logits, labels.tolist(), strict=True):
            p = row.exp()[label] / row.exp().sum()
            total = total - weights[label] * (1 - p) ** gamma * p.log()
            mass = mass + weights[label]
        return total / mass
    parts = []
    for row, gold in zip(logits, labels.tolist(), strict=True):
        for logit, weight, yes in zip(row, weights, gold, strict=True):
            p = 1 / (1 + (-logit).exp())
            p, alpha = (p, weight) if yes else (1 - p, 1.0)
            parts.append(-alpha * (1 - p) ** gamma * p.log())
    return torch.stack(parts).mean()


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_certain_answer_has_a_finite_gradient(gamma: float) -> None:
    for head, gold in (
        (ClassificationHead(D, C, gamma=gamma), torch.tensor([1])),
        (MultiLabelHead(D, C, gamma=gamma), torch.tensor([[0, 1, 0, 0]])),
    ):
        logits = torch.tensor([[-200.0, 200.0, -200.0, -200.0]], requires_grad=True)
        head.loss(logits, {"labels": gold}).backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


def test_the_loss_is_torchs_mean(case: tuple[Head, Targets]) -> None:
    head, targets = case
    logits = head(torch.randn(G, D))
    torch.testing.assert_close(head.loss(logits, targets), torch_mean(head, logits, targets))


def test_cross_entropy_by_hand() -> None:
    """Smoothed and weighted, as Szegedy et al. write it: q = (1 - e) one-hot + e / C."""
    head = ClassificationHead(D, C, label_smoothing=0.2, class_weights=WEIGHTS)
    logits, labels = torch.randn(5, C), torch.tensor([0, 1, 2, 3, 1])
    total = 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        p = row.exp() / row.exp().sum()
        for k in range(C):
            q = 0.8 * (k == label) + 0.2 / C
            total -= WEIGHTS[k] * q * float(p[k].log())
    mass = sum(WEIGHTS[i] for i in labels.tolist())
    assert head.mass({"labels": labels}) == pytest.approx(mass)
    assert head.loss(logits, {"labels": labels}).item() == pytest.approx(total / mass, rel=1e-5)


@pytest.mark.parametrize("cuts", [[G], [5, 19], [1, 0, 23], [8, 8, 8]])
def test_micro_batches_add_up_to_the_whole(case: tuple[Head, Targets], cuts: list[int]) -> None:
    """With the step's denominator, value and gradients of the whole batch at once."""
    head, targets = case
    states = torch.randn(G, D)
    whole = head.loss(head(states), targets)
    wanted = torch.autograd.grad(whole, list(head.parameters()))
    split = {name: values.split(cuts) for name, values in targets.items()}
    parts = [{name: split[name][i] for name in split} for i in range(len(cuts))]
    denominator = sum(head.mass(part) for part in parts)
    assert denominator == pytest.approx(head.mass(targets))
    total = 0.0
    for part, some in zip(parts, states.split(cuts), strict=True):
        loss = head.loss(head(some), part, denominator)
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(whole.item(), rel=1e-5)
    for parameter, gradient in zip(head.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_mean_of_means_would_be_wrong(case: tuple[Head, Targets]) -> None:
    head, targets = case
    logits = head(torch.randn(G, D))
    first, rest = ({n: v[s] for n, v in targets.items()} for s in (slice(1), slice(1, None)))
    means = (head.loss(logits[:1], first) + head.loss(logits[1:], rest)) / 2
    assert abs((means - head.loss(logits, targets)).item()) > 1e-3


def test_no_targets_cost_nothing(case: tuple[Head, Targets]) -> None:
    head, targets = case
    none = {name: values[:0] for name, values in targets.items()}
    loss = head.loss(head(torch.zeros(0, D)), none, denominator=7.0)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad is None) or (p.grad == 0).all() for p in head.parameters())
    assert head.mass(none) == 0
    assert head.loss(head(torch.zeros(0, D)), none).item() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_computed_in_float32(case: tuple[Head, Targets], dtype: torch.dtype) -> None:
    head, targets = case
    logits = head(torch.randn(G, D)).to(dtype)
    loss = head.loss(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, head.loss(logits.float(), targets))
