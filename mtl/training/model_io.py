"""The `model/` folder of a run: what `mtl` and other programs load.

``config.json``, ``model.safetensors`` and the tokenizer are the trunk's, so that transformers
opens the folder as it is; each head has a safetensors file of its own; ``mtl.json`` says what
the tasks are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mtl.config.build import build
from mtl.errors import CheckpointError, ConfigError, join_problems, one_of
from mtl.tasks import Task
from mtl.training.model import MultiTaskModel, build_heads, first_difference, make_task
from mtl.trunk import TextEncoder
from mtl.trunk.load import load_trunk

FORMAT = 1
DESCRIPTION = "mtl.json"


@dataclass
class TrunkAbout:
    """What ``mtl.json`` says about the trunk."""

    kind: str
    attention: str = field(metadata={"choices": ("causal", "bidirectional")})
    max_length: int = field(metadata={"min": 1})
    stride: int = field(metadata={"min": 0})
    prefix_space: bool


@dataclass
class TaskAbout:
    """What ``mtl.json`` says about a task."""

    type: str
    options: dict[str, Any]
    head: dict[str, Any]
    metric: str
    weight: float = field(metadata={"min": 0})
    state: dict[str, Any]
    columns: dict[str, Any]
    attention: str | None = None


@dataclass
class Description:
    """What ``mtl.json`` says."""

    format: int
    trunk: TrunkAbout
    tasks: dict[str, TaskAbout]


@dataclass
class LoadedModel:
    """A model folder, ready to use."""

    model: MultiTaskModel
    encoder: TextEncoder
    description: dict[str, Any]

    def attention(self, task: str) -> str:
        """Return how a task's documents are read: ``causal`` or ``bidirectional``."""
        return str(self.description["tasks"][task].get("attention", self.model.trunk.attention))


def save_model(
    folder: Path,
    model: MultiTaskModel,
    encoder: TextEncoder,
    columns: Mapping[str, Any],
    attention: Mapping[str, str] | None = None,
) -> None:
    """Write a model folder.

    Args:
        folder: Made if it does not exist.
        model: What to save.
        encoder: Its window size and prefix are kept.
        columns: By task: the columns of its data, for `mtl evaluate` on files of the same shape.
        attention: By task: how its documents are read; the trunk's own way where not named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trunk = model.trunk
    trunk.model.save_pretrained(folder)
    trunk.tokenizer.save_pretrained(folder)
    for name, head in model.heads.items():
        state = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
        save_file(state, folder / head_file(name))
    text = json.dumps(
        describe(model, encoder, columns, attention or {}), indent=2, ensure_ascii=False
    )
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def head_file(name: str) -> str:
    """Return the file name of a head's weights."""
    return f"head-{name}.safetensors"


def describe(
    model: MultiTaskModel,
    encoder: TextEncoder,
    columns: Mapping[str, Any],
    attention: Mapping[str, str],
) -> dict[str, Any]:
    """Return what ``mtl.json`` holds."""
    return {
        "format": FORMAT,
        "trunk": {
            "kind": model.trunk.kind,
            "attention": model.trunk.attention,
            "max_length": encoder.max_length,
            "stride": encoder.stride,
            "prefix_space": encoder.prefix_space,
        },
        "tasks": {
            name: {
                "type": task.type,
                "options": asdict(task.options),
                "head": asdict(task.head_options),
                "metric": task.primary_metric,
                "weight": task.weight,
                "state": task.state(),
                "columns": dict(columns.get(name, {})),
                "attention": attention.get(name, model.trunk.attention),
            }
            for name, task in model.tasks.items()
        },
    }


def model_folder(folder: Path) -> Path:
    """Return the `model/` folder of a run; a folder that is no finished run as it is."""
    inner = folder / "model"
    return inner if (inner / DESCRIPTION).is_file() else folder


def load_model(folder: Path) -> LoadedModel:
    """Load a run's folder, or the `model/` folder in it.

    Raises:
        CheckpointError: If the folder holds no model, or its parts do not fit together.
    """
    folder = model_folder(folder)
    description = read_description(folder)
    about = description["trunk"]
    tasks = restore_tasks(description, folder / DESCRIPTION)
    try:
        trunk = load_trunk("hf", str(folder), attention=about["attention"])
    except (ConfigError, SafetensorError) as error:
        reason = str(error).rpartition("cannot be loaded: ")[2]
        raise CheckpointError(
            f"{folder}: the trunk cannot be loaded: {reason.rstrip('.')}. Copy the folder again, "
            "or train anew."
        ) from error
    heads = build_heads(tasks, trunk.hidden_size, seed=0)
    for name, head in heads.items():
        load_head(head, folder / head_file(name))
    encoder = TextEncoder(
        trunk.tokenizer, about["max_length"], about["stride"], prefix_space=about["prefix_space"]
    )
    model = MultiTaskModel(trunk, tasks, heads).eval()
    return LoadedModel(model, encoder, description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``mtl.json``.

    Raises:
        CheckpointError: If it is missing, malformed, or of a newer format.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(_no_model(folder))
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        written = description["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"it has no {error}" if isinstance(error, KeyError) else f"got: {error}"
        raise CheckpointError(
            f"{path}: Expected a model's description in JSON, but {found}."
        ) from error
    if not isinstance(written, int) or written > FORMAT:
        raise CheckpointError(
            f"{path}: Expected format {FORMAT}, but got {written}; it was written by another "
            "version of mtl."
        )
    problems = build(Description, description)[1]
    if not problems and not description["tasks"]:
        problems = ["Expected `tasks` to have one or more, but there is none."]
    if problems:
        raise CheckpointError(f"{path}: {join_problems(problems)}")
    return dict(description)


def _no_model(folder: Path) -> str:
    expected = f"Expected '{folder}' to be a run or a model folder of mtl, but"
    if not folder.is_dir():
        return f"{expected} there is no such folder."
    if (folder / "checkpoints").is_dir():
        return f"{expected} it ended early and has checkpoints only; continue it with resume=RUN."
    return f"{expected} it has no {DESCRIPTION}; train.py writes one at the end of a run."


def restore_tasks(description: Mapping[str, Any], path: Path) -> list[Task]:
    """Build all tasks of a description.

    Raises:
        CheckpointError: If an entry is missing or unknown, with the file's `path`.
    """
    try:
        return [restore_task(name, spec) for name, spec in description["tasks"].items()]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = f"one has no {error}" if isinstance(error, KeyError) else f"got: {error}"
        raise CheckpointError(
            f"{path}: Expected tasks as this version of mtl writes them, but {found}."
        ) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def restore_task(name: str, spec: Mapping[str, Any]) -> Task:
    """Build a task from its part of the description."""
    parts = ("type", "options", "head", "metric", "weight")
    task = make_task(name, **{part: spec[part] for part in parts})
    task.load_state(spec["state"])
    return task


def load_head(head: nn.Module, path: Path) -> None:
    """Load a head's weights.

    Raises:
        CheckpointError: If the file is missing or of another shape.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: the head's weights are missing; copy the folder again.")
    weights = _read_weights(path)
    if odd := first_difference(weights, head.state_dict()):
        raise CheckpointError(
            f"{path}: the head's weights do not fit: {odd}; {DESCRIPTION} beside it is another "
            "run's."
        )
    head.load_state_dict(weights, strict=True)


def start_from(model: MultiTaskModel, folder: Path) -> list[str]:
    """Copy the trunk of another run, and the heads of tasks that both have; returns their names.

    Raises:
        CheckpointError: If the trunk is another one, or no model is there.
    """
    folder = model_folder(folder)
    description = read_description(folder)
    weights = _read_weights(folder / "model.safetensors")
    trunk = model.trunk.model
    if odd := first_difference(weights, _untied(trunk, weights)):
        raise CheckpointError(
            f"Expected `init` to be a run with the same trunk, but in '{folder}' {odd}; choose "
            "its trunk, or another run."
        )
    trunk.load_state_dict(weights, strict=False)
    copied = []
    for name, task in model.tasks.items():
        there = description["tasks"].get(name)
        same = there is not None and there["state"] == task.state()
        if same and (folder / head_file(task.head_name)).is_file():
            load_head(model.head(name), folder / head_file(task.head_name))
            copied.append(name)
    return copied


def _untied(model: nn.Module, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a model's weights without those that a file has under another name (T5's)."""
    state = model.state_dict()
    there = {state[name].data_ptr() for name in found if name in state}
    return {n: v for n, v in state.items() if n in found or v.data_ptr() not in there}


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().rstrip(".")
        raise CheckpointError(
            f"{path}: Expected a safetensors file, but it cannot be read: {reason}."
        ) from error


def check_head_names(tasks: Mapping[str, Task], asked: list[str]) -> None:
    """Raise a ConfigError if a task was asked for that the model does not have."""
    for name in asked:
        if name not in tasks:
            raise ConfigError(one_of("--task", name, tasks))
