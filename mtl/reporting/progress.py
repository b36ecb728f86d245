"""The progress of training, evaluation and reading, for people."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import TaskID
from rich.text import Text

from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.bars import Bars, duration
from mtl.reporting.columns import ValidationLines, number
from mtl.reporting.console import console, is_rank_zero


class _Nowhere(io.StringIO):
    """Where other ranks write, and runs without progress."""

    def write(self, text: str) -> int:
        return len(text)


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
        self.monitor = monitor
        self.sign = 1.0 if higher_is_better else -1.0
        self.best: float | None = None
        shown = enabled and is_rank_zero()
        self._bars = Bars((target or console()) if shown else Console(file=_Nowhere()))
        self._lines: ValidationLines | None = None
        self._training: TaskID | None = None
        self._pass: TaskID | None = None
        self._began = (0.0, 0)
        """When training began, and after how many steps."""

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Remove the bars."""
        self._bars.stop()

    def on_exception(self, trainer: L.Trainer, module: object, exception: BaseException) -> None:
        """Remove the bars, so that the error stands alone and the cursor is back."""
        self._bars.stop()
        if isinstance(exception, KeyboardInterrupt):
            self._bars.say(f"interrupted after step {trainer.global_step:,}")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; say where a resumed run goes on."""
        start = trainer.global_step
        self._began = (time.monotonic(), start)
        self._training = self._bars.add("training", self.total, start)
        if start:
            self._bars.say(f"continuing after step {start:,} of {self.total:,}")
        self._layout(pl_module)
        self._show(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object
    ) -> None:
        """Count one more step, and show it if it is time to."""
        assert self._training is not None
        self._bars.update(self._training, completed=trainer.global_step)
        self._show(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, *_: object) -> None:
        """Say how long it took."""
        assert self._training is not None
        began, start = self._began
        steps = trainer.global_step
        early = f", stopped before step {self.total:,}" if steps < self.total else ""
        self._bars.stop()
        self._bars.remove_task(self._training)
        self._training = None
        took = duration(time.monotonic() - began)
        self._bars.say(f"{steps - start:,} steps in {took}{early}")

    def _show(self, trainer: L.Trainer, module: Any) -> None:
        """Draw training, and a pass over other data beside it or alone, if it is time to."""
        if not self._bars.due():
            return
        lines = self._layout(module)
        if self._training is None:
            if self._pass is not None:
                self._bars.show(self._bars.line(self._pass))
            return
        loss = getattr(module, "training_logs", {}).get(metric_name("train", None, "loss"))
        facts = "" if loss is None else f"loss {number(loss)}"
        self._bars.update(self._training, facts=facts)
        step = trainer.global_step
        first = lines.start(f"{step:,}", f"{step / module.steps_per_epoch:.2f}")
        line = "  ".join(filter(None, [first, facts, self._bars.left(self._training)]))
        self._bars.show(line, current(module.results, _primary(module)))

    def on_validation_start(self, trainer: L.Trainer, *_: object) -> None:
        """Begin to count a validation."""
        self._start_pass("validation", trainer.num_val_batches)

    def on_test_start(self, trainer: L.Trainer, *_: object) -> None:
        """Begin to count a test."""
        self._start_pass("test", trainer.num_test_batches)

    def _start_pass(self, name: str, batches: float | Sequence[float]) -> None:
        counts = batches if isinstance(batches, Sequence) else [batches]
        self._pass = self._bars.add(name, sum(int(n) for n in counts if math.isfinite(n)))

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._bars.remove_task(self._pass)
            self._pass = None

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object
    ) -> None:
        """Count one more batch, and show it if it is time to."""
        assert self._pass is not None
        self._bars.advance(self._pass)
        self._show(trainer, pl_module)

    on_test_batch_end = on_validation_batch_end  # type: ignore[assignment]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the validation's line, and mark it if it is the best."""
        self._end_pass()
        module: Any = pl_module
        value = module.results.get(self.monitor)
        better = value is not None and (
            self.best is None or self.sign * value > self.sign * self.best
        )
        if better:
            self.best = value
        step = trainer.global_step
        lines = self._layout(module)
        text = lines.line(step, step / module.steps_per_epoch, module.results, better)
        self._bars.say(Text(text, style="bold" if better else ""))
        if self._training is not None:
            self._show(trainer, module)

    def on_test_end(self, *_: object) -> None:
        """Remove the bar."""
        self._end_pass()
        self._bars.stop()

    def _layout(self, module: Any) -> ValidationLines:
        """Return the columns; their heading is printed when they are first needed."""
        if self._lines is None:
            width = self._bars.console.width
            self._lines = ValidationLines(_primary(module), self.total, width)
            self._bars.say(*(Text(line, style="dim") for line in self._lines.heading()))
        return self._lines

    def state_dict(self) -> dict[str, float | None]:
        """Return the best so far, so that a resumed run marks the right validations."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, float | None]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.best = state_dict["best"]


def _primary(module: Any) -> dict[str, str]:
    return {name: task.primary_metric for name, task in module.model.tasks.items()}


def current(results: Mapping[str, float], tasks: Mapping[str, str]) -> list[str]:
    """Return each task's latest validation metric, to stand below the bar."""
    names = {f"{task} {metric}": metric_name("val", task, metric) for task, metric in tasks.items()}
    return [f"{k} {number(results[name])}" for k, name in names.items() if name in results]
