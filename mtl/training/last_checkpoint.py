"""The checkpoint that a resumed run continues from, and whether it fits the run."""

from __future__ import annotations

from pathlib import Path

from mtl.errors import CheckpointError
from mtl.launch.processes import METRICS_FILE
from mtl.training.checkpoint import LAST, State, read_checkpoint
from mtl.training.contents import PREFIX
from mtl.training.model import MultiTaskModel, first_difference
from mtl.trunk.fingerprint import digest

NEEDED = ("global_step", "callbacks", "loops", "optimizer_states", "lr_schedulers", "mtl")


def last_checkpoint(run_dir: Path, tasks: list[str]) -> State:
    """Return the latest checkpoint of a run.

    Args:
        run_dir: The run's folder.
        tasks: The names of the run's tasks.

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
    wanted = {name: value for name, value in model.state_dict().items() if name not in frozen}
    odd = first_difference(weights, wanted)
    if odd is None and frozen and digest(frozen) != left_out:
        odd = "weights of the trunk that do not learn are not those that the run began with"
    if odd:
        raise CheckpointError(
            f"{last_path(run_dir)}: Expected the weights of this run's model, but {odd}; the trunk "
            "or the data has changed since. Put it back, or train anew."
        )


def is_finished(checkpoint: State, steps: int, run_dir: Path) -> bool:
    """Whether a run has taken all its steps, or stopped early, and written its metrics."""
    trained = checkpoint["global_step"] >= steps or stopped_early(checkpoint)
    return trained and (run_dir / METRICS_FILE).is_file()


def stopped_early(checkpoint: State) -> bool:
    """Whether early stopping had ended the run."""
    stopping = [s for s in checkpoint["callbacks"].values() if "wait_count" in s]
    return any(s["wait_count"] >= s["patience"] for s in stopping)
