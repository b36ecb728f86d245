"""The progress of training, evaluation and reading, for people."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import lightning as L
from rich.console import Console
from rich.text import Text

from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.bars import Bars, Work, duration, make_bars
from mtl.reporting.columns import ValidationLines, number
from mtl.reporting.console import console
from mtl.reporting.tracking import track

__all__ = ["ProgressReport", "current", "track"]


class ProgressReport(L.Callback):
    """A bar with time left, loss and each task's metric; a line for every validation.

    It reads from the module, and only when it draws: `results` and `training_logs` (the latest
    metrics by full name), `model.tasks`, and `steps_per_epoch`.

    Args:
        total: Optimiser steps of the whole run.
        enabled: False shows nothing.
        monitor: The metric that says which validation is the best.
        higher_is_better: Its direction.
        target: Where to write; standard output when None.
    """

    def __init__(
        self,
        total: int,
        *,
        enabled: bool = True,
        monitor: str = SCORE,
        higher_is_better: bool = True,
        target: Console | None = None,
    ) -> None:
        self.total = total
        self.enabled = enabled
        self.monitor = monitor
        self.sign = 1.0 if higher_is_better else -1.0
        self.best: float | None = None
        self._target = target
        self._bars: Bars | None = None
        self._lines: ValidationLines | None = None
        self._training: tuple[float, int] | None = None
        """When training began, and after how many steps."""
        self._pass = (0.0, 0, 0)
        """When a pass over validation or test data began, its batches so far, and all of them."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin to show, on the first rank."""
        del pl_module, stage
        if self.enabled and trainer.is_global_zero and self._bars is None:
            self._target = self._target or console()
            self._bars = make_bars(self._target)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Remove the bars."""
        del trainer, pl_module, stage
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Remove the bars, so that the error stands alone and the cursor is back."""
        del pl_module
        self._stop()
        if self._bars is not None and isinstance(exception, KeyboardInterrupt):
            self._bars.print(f"interrupted after step {trainer.global_step:,}")

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; say where a resumed run goes on."""
        start = trainer.global_step
        self._training = (time.monotonic(), start)
        if self._bars is None:
            return
        if start:
            self._bars.print(f"continuing after step {start:,} of {self.total:,}")
        self._layout(pl_module)
        if self._bars.due():
            self._show(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Show one more step, if it is time to."""
        del outputs, batch
        if self._bars is not None and self._bars.due():
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how long it took."""
        del pl_module
        assert self._training is not None
        if self._bars is not None:
            began, start = self._training
            steps = trainer.global_step
            early = f", stopped before step {self.total:,}" if steps < self.total else ""
            self._stop()
            took = duration(time.monotonic() - began)
            self._bars.print(f"{steps - start:,} steps in {took}{early}")
        self._training = None

    def _show(self, trainer: L.Trainer, module: Any, *more: Work) -> None:
        """Draw training, and a pass over other data beside it or alone."""
        assert self._bars is not None
        assert self._lines is not None
        if self._training is None:
            self._bars.show(more, [], more[-1].line())
            return
        began, start = self._training
        loss = getattr(module, "training_logs", {}).get(metric_name("train", None, "loss"))
        facts = [] if loss is None else [f"loss {number(loss)}"]
        step = trainer.global_step
        work = Work("training", step, self.total, time.monotonic() - began, start, facts)
        first = self._lines.start(f"{step:,}", f"{step / module.steps_per_epoch:.2f}")
        line = "  ".join(filter(None, [first, *facts, work.left]))
        self._bars.show([work, *more], current(module.results, _primary(module)), line)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of a validation."""
        del pl_module
        self._start_pass(trainer.num_val_batches)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of a test."""
        del pl_module
        self._start_pass(trainer.num_test_batches)

    def _start_pass(self, batches: Any) -> None:
        counts = batches if isinstance(batches, list) else [batches]
        self._pass = (time.monotonic(), 0, sum(int(n) for n in counts if math.isfinite(n)))

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any
    ) -> None:
        """Show one more validation batch, if it is time to."""
        self._one_more(trainer, pl_module, "validation")

    def on_test_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Show one more test batch, if it is time to."""
        self._one_more(trainer, pl_module, "test")

    def _one_more(self, trainer: L.Trainer, module: L.LightningModule, name: str) -> None:
        began, done, total = self._pass
        self._pass = (began, done + 1, max(total, done + 1))
        if self._bars is not None and self._bars.due() and not trainer.sanity_checking:
            self._layout(module)
            elapsed = time.monotonic() - began
            self._show(trainer, module, Work(name, done + 1, self._pass[2], elapsed))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the validation's line, and mark it if it is the best."""
        if trainer.sanity_checking:
            return
        module: Any = pl_module
        value = module.results.get(self.monitor)
        better = value is not None and (
            self.best is None or self.sign * value > self.sign * self.best
        )
        if better:
            self.best = value
        if self._bars is None:
            return
        lines = self._layout(module)
        step = trainer.global_step
        text = lines.line(step, step / module.steps_per_epoch, module.results, better)
        self._bars.print(Text(text, style="bold" if better else ""))
        if self._training is not None and self._bars.due():
            self._show(trainer, module)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the bar."""
        del trainer, pl_module
        self._stop()

    def _layout(self, module: Any) -> ValidationLines:
        """Return the columns; their heading is printed when they are first needed."""
        assert self._bars is not None
        assert self._target is not None
        if self._lines is None:
            self._lines = ValidationLines(_primary(module), self.total, self._target.width)
            self._bars.print(*(Text(line, style="dim") for line in self._lines.heading()))
        return self._lines

    def state_dict(self) -> dict[str, Any]:
        """Return the best so far, so that a resumed run marks the right validations."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.best = state_dict["best"]


def _primary(module: Any) -> dict[str, str]:
    return {name: task.primary_metric for name, task in module.model.tasks.items()}


def current(results: Mapping[str, float], tasks: Mapping[str, str]) -> list[str]:
    """Return each task's latest validation metric, to stand below the bar.

    Args:
        results: Metrics by full name.
        tasks: Task to its primary metric.
    """
    names = {f"{task} {metric}": metric_name("val", task, metric) for task, metric in tasks.items()}
    return [f"{k} {number(results[name])}" for k, name in names.items() if name in results]
