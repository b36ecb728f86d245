"""What a checkpoint holds beside Lightning's own, under ``mtl``, and how it is taken back.

{"config": {...}, "tasks": {"ner": {...}}, "results": {"val/score": 0.5}, "frozen": None,
 "running": {...}, "skipped": 0, "in_a_row": 0}
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from mtl.training.checkpoint import State
from mtl.training.model import MultiTaskModel
from mtl.trunk.fingerprint import digest

PREFIX = "model."
"""Of the model's weights among those of the Lightning module."""


class FrozenWeights:
    """The weights that checkpoints leave out, because they do not learn.

    A resumed run takes them from where this one did; a digest says whether they are the same.

    Args:
        model: Whose weights they are.
        kept: Whether checkpoints hold them all the same: nothing is left out.
    """

    def __init__(self, model: MultiTaskModel, *, kept: bool) -> None:
        self.model = model
        self.kept = kept

    @cached_property
    def digest(self) -> str | None:
        """What all of them are, in short; None where nothing is left out."""
        left_out = {} if self.kept else self.model.frozen()
        return digest(left_out) if left_out else None

    def leave_out(self, weights: dict[str, Tensor]) -> None:
        """Take them out of a checkpoint's weights."""
        for name in {} if self.kept else self.model.frozen():
            weights.pop(PREFIX + name, None)  # Not there on all ranks: FSDP2.

    def put_back(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights with those of this model that it leaves out."""
        own = {PREFIX + name: p.detach() for name, p in self.model.frozen().items()}
        return {**own, **weights}


def continue_loops(checkpoint: State, steps: int) -> None:
    """Make Lightning's loops in a checkpoint go on as this run needs it.

    A validation that was not finished begins anew; a run that is longer now than when it ended
    goes on as after any other step.

    Args:
        checkpoint: Changed in place.
        steps: Optimiser steps of this run.
    """
    fit_loop = checkpoint["loops"]["fit_loop"]
    if any(state.get("unfinished") for state in checkpoint["callbacks"].values()):
        progress = fit_loop["epoch_loop.val_loop.batch_progress"]
        progress["total"].update(ready=1, started=1, processed=0, completed=0)
        progress["current"].update(ready=0, started=0, processed=0, completed=0)
    if checkpoint["global_step"] < steps:
        fit_loop["epoch_loop.batch_progress"]["is_last_batch"] = False
        for count in fit_loop["epoch_progress"].values():
            count.update(processed=0, completed=0)
        fit_loop["state_dict"]["combined_loader"] = [{"step": checkpoint["global_step"]}]
