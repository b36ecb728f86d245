"""Losses and gradients that are not finite stop a run, or the step is left out and counted."""

from __future__ import annotations

import itertools
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtl.errors import TrainingError
from mtl.reporting.loggers.csv_file import read_rows
from mtl.training import finite
from mtl.training.checkpoint import read_checkpoint
from mtl.training.finite import IN_A_ROW, spoil
from mtl.training.model import MultiTaskModel
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.training.step_gradients import StepGradients
from tests.training.forked import fork
from tests.training.resuming import check_equal, resumed
from tests.training.site import Site, differing, fit, last_weights, module_of, prepared, weights

BAD = {"nan": math.nan, "inf": math.inf}


def spoil_steps(
    patch: pytest.MonkeyPatch, steps: set[int], task: str, value: float, *, loss: bool = True
) -> None:
    """Make a task's loss in some steps (from 1) a value; or only the gradient of its logits."""
    step_of = {"now": 0}
    training_step, head_of = MultiTaskModule.training_step, StepGradients.pass_losses

    def training(self: MultiTaskModule, step: Any, batch_idx: int) -> None:
        step_of["now"] = step.number + 1
        training_step(self, step, batch_idx)

    def loss_of(self: StepGradients, *args: Any) -> Any:
        head = self.model.head(task)
        original = type(head).loss

        def changed(logits: Any, *more: Any) -> Any:
            found = original(head, logits, *more)
            if step_of["now"] not in steps:
                return found
            if loss:
                return found + value  # a constant: its gradient is that of the loss
            logits.register_hook(lambda gradient: gradient * value)
            return found

        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(head, "loss", changed)
            return head_of(self, *args)

    patch.setattr(MultiTaskModule, "training_step", training)
    patch.setattr(StepGradients, "pass_losses", loss_of)


def config(site: Site, **changes: Any) -> Any:
    options = {
        "trainer__max_steps": 6,
        "trainer__val_check_interval": 2,
        "trainer__log_every_n_steps": 2,
        "batching__tokens": 24,
        "logger__names": ["csv"],
    }
    return site.config("ner", "rating", **{**options, **changes})


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("task", ["ner", "rating"])
def test_stops_and_names_task_step_and_settings(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, value: str
) -> None:
    spoil_steps(monkeypatch, {4}, task, BAD[value])
    with pytest.raises(TrainingError) as stopped:
        train(config(site), tmp_path)
    said = str(stopped.value)
    assert f"Step 4: Expected finite losses, but that of task '{task}' is {value}" in said
    assert "`trunk.lr` (0.01)" in said
    assert "`head.lr` (0.05)" in said
    assert "trainer.non_finite=skip" in said
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 2
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.parametrize("task", ["ner", "rating"])
def test_a_gradient_alone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """It is infinite from one task's logits on: in that head and in the trunk, in no other head."""
    spoil_steps(monkeypatch, {3}, task, math.inf, loss=False)
    expected = (
        rf"Step 3: Expected a finite gradient, but .* nan in the head of task '{task}'; lower"
    )
    with pytest.raises(TrainingError, match=expected):
        train(config(site), tmp_path)


def test_a_gradient_of_a_shared_head(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_steps(monkeypatch, {1}, "rating", math.nan, loss=False)
    cfg = config(site)
    cfg.tasks["stars"] = deepcopy(cfg.tasks["rating"])
    for name in ("rating", "stars"):
        cfg.tasks[name].head["name"] = "one"
    with pytest.raises(TrainingError, match="in the head of tasks 'rating' and 'stars'; lower"):
        train(cfg, tmp_path)


def test_a_gradient_of_the_trunk(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no head is the cause of; and how often is said at the end."""
    original = finite.norms_of_parts
    taken = itertools.count()

    def overflow(model: MultiTaskModel, norm: torch.Tensor) -> Any:
        if next(taken) not in (1, 4):
            return original(model, norm)
        parameter = next(p for p in model.trunk.parameters() if p.grad is not None)
        assert parameter.grad is not None
        parameter.grad.view(-1)[0] = math.inf
        norm.fill_(math.inf)
        return original(model, norm)

    monkeypatch.setattr("mtl.training.module.norms_of_parts", overflow)
    train(config(site, trainer__non_finite="skip"), tmp_path)
    said = capsys.readouterr()
    for step in (2, 5):
        assert (
            f"step {step}: Expected a finite gradient, but its norm is inf in the trunk" in said.err
        )
    assert "2 steps were left out: a loss or the gradient was not finite" in said.out


def test_skipped_steps_change_nothing_and_are_counted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The optimiser's state and the weights stay; the step counts as taken."""
    states: dict[int, Any] = {}
    original = MultiTaskModule.judge

    def keep(self: MultiTaskModule) -> None:
        original(self)
        optimizer: Any = self.optimizers()
        moments = [m["exp_avg"].clone() for m in optimizer.state.values()]
        states[self.global_step] = (weights(self.model), moments)

    monkeypatch.setattr(MultiTaskModule, "judge", keep)
    spoil_steps(monkeypatch, {3, 4}, "ner", math.nan)
    train(config(site, trainer__non_finite="skip", trainer__val_check_interval=6), tmp_path)
    said = capsys.readouterr().err
    assert "step 3: Expected finite losses, but that of task 'ner' is nan: step 3 left out" in said
    assert "step 4 left out" in said
    for after in (3, 4):
        assert differing(states[after][0], states[2][0]) == []
        assert all(torch.equal(a, b) for a, b in zip(states[after][1], states[2][1], strict=True))
    assert differing(states[5][0], states[4][0])
    rows = {int(row["step"]): row for row in read_rows(tmp_path / "metrics.csv")}
    assert [float(rows[n]["train/skipped_steps"]) for n in (2, 4, 6)] == [0, 2, 2]
    assert rows[4]["train/ner/loss"] == rows[4]["train/rating/loss"] == ""
    assert all(math.isfinite(float(rows[n]["train/ner/loss"])) for n in (2, 6))


def test_what_was_skipped_outlives_a_stop(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stops at a bad step, resumed to skip it, ends as one that skipped at once."""
    spoil_steps(monkeypatch, {1, 4}, "rating", math.inf)
    skipping = config(site, trainer__non_finite="skip")
    train(skipping, tmp_path / "whole")
    spoil_again = config(site, trainer__non_finite="skip")
    calls = {"n": 0}
    original = MultiTaskModule.validation_step

    def die(self: MultiTaskModule, *args: Any) -> None:
        calls["n"] += 1
        if calls["n"] == 8:
            raise KeyboardInterrupt
        original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(MultiTaskModule, "validation_step", die)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(spoil_again, tmp_path / "killed")
    train(resumed(spoil_again, tmp_path / "killed"), tmp_path / "killed")
    check_equal(tmp_path / "killed", tmp_path / "whole")


def test_validation(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logits that are not finite stop before the checkpoint of that validation."""
    original, start = MultiTaskModel.forward, MultiTaskModule.on_validation_epoch_start
    steps: list[int] = []

    def started(self: MultiTaskModule) -> None:
        steps.append(self.global_step)
        start(self)

    def forward(self: MultiTaskModel, *given: Any) -> dict[str, torch.Tensor]:
        logits = original(self, *given)
        if steps[-1] == 4:
            logits["ner"] = torch.full_like(logits["ner"], math.nan)
        return logits

    monkeypatch.setattr(MultiTaskModule, "on_validation_epoch_start", started)
    monkeypatch.setattr(MultiTaskModel, "forward", forward)
    with pytest.raises(TrainingError, match=r"Validation after step 4: .* of task 'ner' are not;"):
        train(config(site), tmp_path / "stop")
    assert read_checkpoint(tmp_path / "stop/checkpoints/last.ckpt")["global_step"] == 2
    train(config(site, trainer__non_finite="skip"), tmp_path / "skip")
    assert "of task 'ner' are not: its scores say little" in capsys.readouterr().err
    assert last_weights(tmp_path / "skip")


@pytest.mark.parametrize("value", [1.5, -0.0, math.nan, math.inf, -math.inf])
def test_a_loss_carries_what_is_not_finite_into_its_gradient(value: float) -> None:
    """Also where its own gradient would be finite; else it is the loss, bit for bit."""
    weight = torch.tensor([0.3, 0.7], requires_grad=True)
    ((weight * weight).sum() + value).backward()
    plain = weight.grad
    weight.grad = None
    spoil((weight * weight).sum() + value).backward()
    assert plain is not None
    assert weight.grad is not None
    if math.isfinite(value):
        assert torch.equal(weight.grad, plain)
    else:
        assert weight.grad.isnan().all()


class Overflowing:
    """Stands for float16's scaler in a step whose gradient overflows."""

    def unscale_(self, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.fill_(math.inf)


@pytest.mark.parametrize("loss", [0.0, math.nan])
def test_float16s_own_search_for_a_scale_is_no_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    """With a scaler, an infinite gradient of finite losses is counted, and training goes on."""
    cfg = config(site)
    ready = prepared(cfg, tmp_path)
    module = module_of(cfg, ready)
    monkeypatch.setattr(finite.NonFinite, "scaler", lambda *_: Overflowing())
    spoil_steps(monkeypatch, {1}, "ner", loss)
    if math.isnan(loss):
        with pytest.raises(TrainingError, match="Step 1: Expected finite losses"):
            fit(module, ready.data, steps=1)
    else:
        fit(module, ready.data, steps=1)
        assert module.training_logs["train/skipped_steps"] == 1


def test_a_run_that_only_skips_ends(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps in a row count: a step that was taken between begins the count anew."""
    options = {"trainer__max_steps": 50, "trainer__val_check_interval": 50}
    cfg = config(site, trainer__non_finite="skip", **options)
    spoil_steps(monkeypatch, {*range(1, 51)} - {IN_A_ROW}, "rating", math.nan)
    with pytest.raises(TrainingError) as stopped:
        train(cfg, tmp_path)
    said = str(stopped.value)
    assert said.startswith(
        f"Step {2 * IN_A_ROW}: Expected finite losses, but that of task 'rating'"
    )
    assert f"and the {IN_A_ROW - 1} steps before were no better; lower `trunk.lr`" in said
    assert "non_finite=skip" not in said


def train_with_one_bad_loss(site: Site, folder: Path, mode: str) -> None:
    """Be one of two processes, of which the second alone sees a loss that is infinite."""
    cfg = site.config("ner", "sentiment", batching__tokens=400)
    ready = prepared(cfg, folder)
    module = module_of(cfg, ready)
    module.non_finite.skips = mode == "skip"
    head = ready.model.head("ner")
    loss, calls = head.loss, itertools.count(1)

    def broken(*arguments: Any) -> Tensor:
        alone = next(calls) == 2 and module.global_rank == 1
        return loss(*arguments) + (math.inf if alone else 0.0)

    head.loss = broken  # type: ignore[assignment]
    try:
        fit(module, ready.data, steps=4, strategy="ddp", devices=2)
    finally:
        state = {"skipped": module.non_finite.skipped, "weights": ready.model.state_dict()}
        torch.save(state, folder / f"rank{module.global_rank}.pt")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stop", "skip"])
def test_ranks_agree(site: Site, tmp_path: Path, mode: str) -> None:
    """A loss that only one of two processes sees ends, or leaves out, the step of both."""
    ended = fork(train_with_one_bad_loss, site, tmp_path, mode)
    assert (ended.returncode == 0) == (mode == "skip"), ended.stderr
    found = [torch.load(tmp_path / f"rank{n}.pt", weights_only=True) for n in (0, 1)]
    assert differing(found[0]["weights"], found[1]["weights"]) == []
    assert [each["skipped"] for each in found] == [1, 1]
    assert all(value.isfinite().all() for value in found[0]["weights"].values())
    if mode == "stop":
        assert "that of task 'ner' is inf" in ended.stderr
