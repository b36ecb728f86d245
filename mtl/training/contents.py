"""What a checkpoint holds, whether it fits the run that continues from it, and how that goes on.

Under ``mtl``, beside Lightning's own: {"config": {...}, "tasks": {"ner": {...}}, "frozen": None,
 "data": {"ner": {"train": "8c1f...", ...}},
 "results": {"val/score": 0.5}, "running": {...}, "skipped": 0, "in_a_row": 0}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from torch import Tensor

from mtl.data.origins import SPLITS
from mtl.data.sources import Splits
from mtl.errors import CheckpointError, Problem, few
from mtl.launch.processes import METRICS_FILE
from mtl.reporting.console import note
from mtl.training.checkpoint import LAST, State, read_checkpoint
from mtl.training.model import MultiTaskModel, first_difference
from mtl.trunk.fingerprint import digest

PREFIX = "model."
"""Of the model's weights among those of the Lightning module."""
NEEDED = ("global_step", "callbacks", "loops", "optimizer_states", "lr_schedulers", "mtl")


def last_checkpoint(run_dir: Path, tasks: list[str]) -> State:
    """Return the latest checkpoint of a run.

    Raises:
        CheckpointError: If there is none, it is damaged, or it belongs to another run.
    """
    path = last_path(run_dir)
    found = read_checkpoint(path)
    about = found.get("mtl")
    ours = about.get("tasks") if isinstance(about, dict) else None
    if not isinstance(ours, dict) or set(ours) != set(tasks):
        there = ", ".join(sorted(ours)) if isinstance(ours, dict) and ours else "none"
        raise CheckpointError(
            f"{path}: Expected a checkpoint of the tasks {{{', '.join(sorted(tasks))}}}, but "
            f"it has {{{there}}}; it belongs to another run."
        )
    if missing := [key for key in NEEDED if key not in found]:
        raise CheckpointError(
            f"{path}: Expected a checkpoint to continue from, but it has no '{missing[0]}'; copy "
            "another checkpoint of the run over it, or train anew."
        )
    return found


def budget_of(checkpoint: State, run_dir: Path) -> int:
    """Return the token budget that the run found when it began.

    Raises:
        CheckpointError: If the checkpoint does not say.
    """
    try:
        return int(checkpoint["mtl"]["config"]["batching"]["tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{last_path(run_dir)}: Expected the run's `batching.tokens`, but there is none; copy "
            "another checkpoint of the run over it, or train anew."
        ) from error


def last_path(run_dir: Path) -> Path:
    """Return the file of a run's latest checkpoint."""
    return run_dir / "checkpoints" / LAST


def check_weights(checkpoint: State, model: MultiTaskModel, run_dir: Path) -> None:
    """Refuse a checkpoint whose weights are not the model's.

    Raises:
        CheckpointError: With the first difference.
    """
    weights = {
        name.removeprefix(PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(PREFIX)
    }
    left_out = checkpoint["mtl"].get("frozen")
    frozen = {} if left_out is None else model.frozen()
    wanted = {n: value for n, value in model.state_dict().items() if not _is_of(n, frozen)}
    odd = first_difference(weights, wanted)
    if odd is None and frozen and digest(frozen) != left_out:
        odd = "weights of the trunk that do not learn are not those that the run began with"
    if odd:
        raise CheckpointError(
            f"{last_path(run_dir)}: Expected the weights of this run's model, but {odd}; the trunk "
            "or the data has changed since. Put it back, or train anew."
        )


def digests_of(splits: Mapping[str, Splits]) -> dict[str, dict[str, str]]:
    """Return a digest of the rows of each task's splits."""
    return {
        name: {s: rows.digest() for s in SPLITS if (rows := getattr(own, s)) is not None}
        for name, own in splits.items()
    }


def check_data(checkpoint: State, digests: Mapping[str, Mapping[str, str]], *, go_on: bool) -> None:
    """Refuse rows that are not those that a run began with; with `go_on`, say so alone.

    Raises:
        CheckpointError: With the first split that is another one.
    """
    before = checkpoint["mtl"].get("data", {})
    changed = [
        f"{split} of task '{task}'"
        for task, splits in before.items()
        for split in SPLITS
        if splits.get(split) != digests.get(task, {}).get(split)
    ]
    if not changed:
        return
    if go_on:
        note(f"The rows of {few(changed)} are not those that the run began with.")
        return
    raise CheckpointError(
        Problem(
            "resume",
            "to continue on the rows that the run began with",
            f"those of {few(changed)} have changed since",
            "Put the files back, train anew, or add changed_data=continue to go on with what is "
            "there now.",
        )
    )


def is_finished(checkpoint: State, steps: int, run_dir: Path) -> bool:
    """Whether a run has taken all its steps, or stopped early, and written its metrics."""
    trained = checkpoint["global_step"] >= steps or stopped_early(checkpoint)
    return trained and (run_dir / METRICS_FILE).is_file()


def stopped_early(checkpoint: State) -> bool:
    """Whether early stopping, of the run or of every task, had ended the run."""
    if any(s.get("all_left") for s in checkpoint["callbacks"].values()):
        return True
    stopping = [s for s in checkpoint["callbacks"].values() if "wait_count" in s]
    return any(s["wait_count"] >= s["patience"] for s in stopping)


def _is_of(name: str, parameters: Collection[str]) -> bool:
    """Whether a name is a parameter's, or of what is kept of it where it is held in four bits."""
    while name not in parameters and "." in name:
        name = name.rpartition(".")[0]
    return name in parameters


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
        frozen = {} if self.kept else {PREFIX + name for name in self.model.frozen()}
        for name in [name for name in weights if _is_of(name, frozen)]:
            del weights[name]

    def put_back(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights with those of this model that it leaves out."""
        own = {PREFIX + name: p.detach() for name, p in self.model.frozen().items()}
        return {**own, **weights}


def continue_loops(checkpoint: State, steps: int) -> None:
    """Change Lightning's loops in a checkpoint, so that they go on as this run needs it.

    A validation that was not finished begins anew; a run that is longer now than when it ended
    goes on as after any other step.
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
