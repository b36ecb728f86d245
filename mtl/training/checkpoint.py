"""Which checkpoints a run keeps, and how they reach the disk whole or not at all."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from mtl.errors import CheckpointError
from mtl.files import open_whole, remove_parts
from mtl.training.disk import reason

State = dict[str, Any]
"""Plain data, nested: what a checkpoint is, and each of its parts."""
LAST = "last.ckpt"
BEST = "best-step={}.ckpt"
OWN = re.compile(re.escape(BEST).replace(r"\{\}", r"\d+"))


class RunCheckpoint(Checkpoint):
    """Saves after every validation, and every so many steps; keeps the best and the last.

    A save that falls on a step whose validation is due happens after that validation, so that a
    resumed run neither repeats nor skips it.

    Args:
        folder: Where the files go.
        monitor: Name of the metric that says which is best.
        higher_is_better: Its direction.
        every_n_train_steps: Also save after every so many steps.
        save_top_k: How many of the best to keep; 0 keeps none, -1 all.
        save_last: Whether to keep the latest.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str,
        *,
        higher_is_better: bool = True,
        every_n_train_steps: int | None = None,
        save_top_k: int = 1,
        save_last: bool = True,
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.sign = 1.0 if higher_is_better else -1.0
        self.every = every_n_train_steps
        self.save_top_k = save_top_k
        self.save_last = save_last
        self.kept: dict[str, float] = {}
        """File name to the monitored metric, of the best checkpoints."""
        self.best_score: float | None = None
        self.validated_at = -1
        self.unfinished = False
        """Whether the checkpoint being written was taken inside a validation."""

    @property
    def best_path(self) -> Path | None:
        """The best checkpoint so far."""
        if not self.kept:
            return None
        return self.folder / max(self.kept, key=lambda name: self.sign * self.kept[name])

    @property
    def last_path(self) -> Path:
        """The latest checkpoint."""
        return self.folder / LAST

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove what an interrupted run was about to replace, or had not yet filed."""
        if trainer.is_global_zero:
            remove_parts(self.folder.parent, self.folder)
        for path in self.folder.glob(BEST.format("*")):
            if path.name not in self.kept:
                trainer.strategy.remove_checkpoint(path)

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Save if a save is due and no validation is."""
        due = self.every is not None and trainer.global_step % self.every == 0
        if due and self.save_last and not self.validation_due(trainer):
            trainer.save_checkpoint(self.last_path)

    @staticmethod
    def validation_due(trainer: L.Trainer) -> bool:
        """Whether a validation follows the step that has just been taken."""
        interval = trainer.val_check_batch
        return isinstance(interval, int) and trainer.global_step % interval == 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the state after a validation during training.

        The value is the module's own: Lightning keeps metrics in single precision, in which equal
        scores of two validations may seem to differ.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.validated_at = trainer.global_step
        results: Any = pl_module.results
        self.consider(trainer, results[self.monitor])

    def consider(self, trainer: L.Trainer, value: float) -> None:
        """Save the current state as the last, and as one of the best if it is.

        A value that is not finite is never among the best.
        """
        if not math.isfinite(value):
            if self.save_last:
                trainer.save_checkpoint(self.last_path)
            return
        if self.best_score is None or self.sign * value > self.sign * self.best_score:
            self.best_score = value
        name, dropped = self._rank(trainer.global_step, value)
        if name is not None:
            trainer.save_checkpoint(self.folder / name)
        if self.save_last:
            trainer.save_checkpoint(self.last_path)
        if dropped is not None:
            trainer.strategy.remove_checkpoint(self.folder / dropped)

    def save(self, trainer: L.Trainer, *, unfinished_validation: bool = False) -> None:
        """Save the current state as the last, whatever the settings say.

        A run that goes on from an unfinished validation begins it anew.
        """
        self.unfinished = unfinished_validation
        trainer.save_checkpoint(self.last_path)
        self.unfinished = False

    def _rank(self, step: int, value: float) -> tuple[str | None, str | None]:
        """File the state among the best; returns its file name, and the one it displaces.

        Among equals, the earliest is the best.
        """
        latest_first = reversed(self.kept)
        worst = min(latest_first, key=lambda name: self.sign * self.kept[name], default=None)
        if self.save_top_k == 0:
            return None, None
        full = 0 < self.save_top_k <= len(self.kept)
        if full and worst is not None and self.sign * value <= self.sign * self.kept[worst]:
            return None, None
        name = BEST.format(f"{step:07d}")
        self.kept[name] = value
        if full and worst is not None and worst != name:
            del self.kept[worst]
            return name, worst
        return name, None

    def state_dict(self) -> State:
        """Return what was best so far."""
        return {
            "kept": dict(self.kept),
            "best_score": self.best_score,
            "validated_at": self.validated_at,
            "unfinished": self.unfinished,
        }

    def load_state_dict(self, state_dict: State) -> None:
        """Take back what was best, as far as the files are still there.

        Raises:
            CheckpointError: If it names a file that is not of the folder: files that are no longer
                among the best are removed.
        """
        kept = state_dict["kept"]
        if foreign := [name for name in kept if not OWN.fullmatch(str(name))]:
            raise CheckpointError(
                f"{self.last_path}: Expected the best checkpoints to be named like "
                f"{BEST.format('0000010')}, but got '{foreign[0]}'; copy another checkpoint of the "
                "run over it, or train anew."
            )
        self.kept = {n: v for n, v in kept.items() if (self.folder / n).is_file()}
        self.best_score = state_dict["best_score"]
        self.validated_at = state_dict["validated_at"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, then renames: whole or not at all."""

    def save_checkpoint(
        self, checkpoint: State, path: _PATH, storage_options: object = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: If the disk is full or the folder cannot be written; what was there
                before is still there.
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_whole(target, "wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"{target}: Expected to write a checkpoint, but {reason(error)}. The earlier "
                "checkpoints are as they were; free some space and continue with resume=RUN."
            ) from error


def read_checkpoint(path: Path) -> State:
    """Load a checkpoint onto the CPU without executing any code in it.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds more than plain data.
    """
    if not path.is_file():
        raise CheckpointError(
            f"Expected a checkpoint at {path}, but there is no such file; the run has not saved "
            "any. Train anew."
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: Expected a checkpoint of this program, but it cannot be read: "
            f"{_why(error)}. Copy another checkpoint of the run over it, or train anew."
        ) from error
    if not isinstance(found, dict) or "state_dict" not in found:
        raise CheckpointError(
            f"{path}: Expected a checkpoint of this program, but it has no 'state_dict'."
        )
    return found


def _why(error: Exception) -> str:
    """Return why a file could not be loaded; PyTorch's own words speak to programmers."""
    code = ("Unsupported", "not an allowed", "unrecognized function")
    if any(words in str(error) for words in code):
        return "it holds more than plain data, which could run code"
    return "it is damaged or cut short"
