"""A signal ends a run in good order: save at the end of the step, say how to go on, leave."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from mtl.errors import Interrupted
from mtl.launch.parent import ENDING, REPEAT
from mtl.reporting.console import console, is_rank_zero, note, short_path
from mtl.shipped import program
from mtl.training.checkpoint import RunCheckpoint

REQUEUE = getattr(signal, "SIGUSR1", None)
"""What SLURM sends before a job's time is up, if asked to: ``#SBATCH --signal=SIGUSR1@90``."""


class StopOnSignal(L.Callback):
    """Saves and leaves after SIGINT (Ctrl-C), SIGTERM or SIGUSR1.

    The run ends after the optimiser step, or the pass of a validation or test, that is being
    computed, and the writing of one checkpoint. Several ranks end together: they ask each other
    after every step, and before a validation or test, but not inside one, where they do not have
    the same number of passes. A validation that was begun is repeated by the resumed run. Another
    signal, a second later or more, ends the process at once.

    Args:
        keeper: Saves the checkpoint.
        run_dir: The run's folder, named in what is said.
    """

    def __init__(self, keeper: RunCheckpoint, run_dir: Path) -> None:
        self.keeper = keeper
        self.run_dir = run_dir
        self.signal: int | None = None
        self._since = 0.0

    def _listen(self) -> None:
        """Take the signals back from Lightning, which has just put its own handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                signal.signal(number, self.hear)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Remember the first; the next ends the process at once."""
        if self.signal is None:
            self.signal, self._since = number, time.monotonic()
            return
        if time.monotonic() - self._since < REPEAT:
            return
        console().show_cursor()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals back from Lightning."""
        self._listen()

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Leave after a step, unless its validation is due: then that begins, and is left."""
        if not self.keeper.validation_due(trainer) and self._asked(trainer):
            self._leave(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave before a validation."""
        self._listen()
        if self._asked(trainer):
            self._leave(trainer, unfinished=True)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Leave inside a validation."""
        if trainer.world_size == 1 and self.signal is not None:
            self._leave(trainer, unfinished=True)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave before the test; everything is saved, unless the last is not to be."""
        self._listen()
        if self._asked(trainer):
            self._leave(trainer, save=False)

    def on_test_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Leave inside the test."""
        if trainer.world_size == 1 and self.signal is not None:
            self._leave(trainer, save=False)

    def _asked(self, trainer: L.Trainer) -> bool:
        mine = self.signal is not None
        if trainer.world_size == 1:
            return mine
        return bool(trainer.strategy.reduce_boolean_decision(mine, all=False))

    def _leave(self, trainer: L.Trainer, *, save: bool = True, unfinished: bool = False) -> None:
        number = self.signal or signal.SIGTERM
        if save:
            training = trainer.state.fn == TrainerFn.FITTING
            self.keeper.save(trainer, unfinished_validation=unfinished and training)
        name = signal.Signals(number).name
        kept = "and saved" if save or self.keeper.save_last else self._not_kept()
        note(f"stopped by {name} after step {trainer.global_step:,}, {kept}{self._how_to_go_on()}")
        raise Interrupted(128 + number)

    def _not_kept(self) -> str:
        """Return what is said in a test, which needs the best weights where the last were."""
        why = "which is not saved (callbacks.checkpoint.save_last=false)"
        return f"{why}, but an earlier one is" if self.keeper.last_path.is_file() else why

    def _how_to_go_on(self) -> str:
        if not self.keeper.last_path.is_file():
            return "; there is nothing to go on from: train anew"
        return f"; go on with: {program()} resume={shlex.quote(short_path(self.run_dir))}"


@contextlib.contextmanager
def requeue_if_asked() -> Iterator[None]:
    """After a run that SIGUSR1 ended, put the SLURM job that it is back into the queue.

    SLURM ends the job then, so this is for the end, when nothing is left to be written.
    """
    try:
        yield
    except Interrupted as stop:
        if REQUEUE is not None and stop.code == 128 + REQUEUE and is_rank_zero():
            _requeue()
        raise


def _requeue() -> None:
    """Put this SLURM job back into the queue; do nothing outside of one."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{job}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    if not re.fullmatch(r"\d+(_\d+)?", job):
        note(f"SLURM: Expected a job's number, but got '{job}'; it is not put back into the queue.")
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=30, check=False
        )
        failed = done.returncode != 0
        why = done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, why = True, str(error)
    note(
        f"SLURM: job {job} could not be put back into the queue: {why}"
        if failed
        else f"SLURM: job {job} is back in the queue."
    )
