"""The `model/` folder of a run: what `mtl` and other programs load.

``config.json``, ``model.safetensors`` and the tokenizer are the trunk's, so that transformers
opens the folder as it is; each head has a safetensors file of its own; ``mtl.json`` says what
the tasks are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mtl.errors import CheckpointError, ConfigError, one_of
from mtl.tasks import TASK_TYPES, Task
from mtl.training.model import MultiTaskModel, build_heads
from mtl.trunk import TextEncoder
from mtl.trunk.load import load_trunk

FORMAT = 1
DESCRIPTION = "mtl.json"
ABOUT_TRUNK = ("attention", "max_length", "stride", "prefix_space")


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
        raise CheckpointError(f"{folder}: the trunk cannot be loaded: {error}") from error
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
        found = "there is no such folder" if not folder.is_dir() else f"it has no {DESCRIPTION}"
        raise CheckpointError(
            f"Expected '{folder}' to be a run or a model folder of mtl, but {found}; a run that "
            "ended early has its checkpoints only: continue it with resume=RUN."
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        written = description["format"]
        known = isinstance(written, int) and written <= FORMAT
        missing = [key for key in ABOUT_TRUNK if key not in description["trunk"]]
        missing += [] if description["tasks"].items() else ["tasks"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"it has no {error}" if isinstance(error, KeyError) else f"got: {error}"
        raise CheckpointError(
            f"{path}: Expected a model's description in JSON, but {found}."
        ) from error
    if not known:
        raise CheckpointError(
            f"{path}: Expected format {FORMAT}, but got {written}; it was written by another "
            "version of mtl."
        )
    if missing:
        raise CheckpointError(f"{path}: Expected a model's description with {missing[0]}.")
    return dict(description)


def restore_tasks(description: Mapping[str, Any], path: Path) -> list[Task]:
    """Build all tasks of a description.

    Raises:
        CheckpointError: If an entry is missing or unknown, with the file's `path`.
    """
    try:
        return [restore_task(name, spec) for name, spec in description["tasks"].items()]
    except (KeyError, TypeError, AttributeError, ValueError, ConfigError) as error:
        found = f"one has no {error}." if isinstance(error, KeyError) else f"got: {error}"
        raise CheckpointError(
            f"{path}: Expected tasks as this version of mtl writes them, but {found}"
        ) from error


def restore_task(name: str, spec: Mapping[str, Any]) -> Task:
    """Build a task from its part of the description."""
    kind = TASK_TYPES.get(spec["type"], f"tasks.{name}.type")
    task = kind(
        name,
        kind.Options(**spec["options"]),
        kind.HeadOptions(**spec["head"]),
        spec["metric"],
        spec["weight"],
    )
    task.load_state(spec["state"])
    return task


def load_head(head: nn.Module, path: Path) -> None:
    """Load a head's weights.

    Raises:
        CheckpointError: If the file is missing or of another shape.
    """
    try:
        head.load_state_dict(load_file(path), strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{path}: the head's weights do not fit: {first}") from error
    except Exception as error:  # safetensors raises its own class for a damaged header
        raise CheckpointError(f"{path}: Expected a safetensors file: {error}.") from error


def start_from(model: MultiTaskModel, folder: Path) -> list[str]:
    """Copy the trunk of another run, and the heads of tasks that both have; returns their names.

    Raises:
        CheckpointError: If the trunk is another one, or no model is there.
    """
    folder = model_folder(folder)
    description = read_description(folder)
    weights = _trunk_weights(folder)
    missing = model.trunk.model.load_state_dict(weights, strict=False)
    if missing.missing_keys or missing.unexpected_keys:
        odd = (missing.missing_keys + missing.unexpected_keys)[0]
        raise CheckpointError(
            f"Expected `init` to be a run with the same trunk, but the weights in '{folder}' are "
            f"another model's (first difference: {odd})."
        )
    copied = []
    for name, task in model.tasks.items():
        there = description["tasks"].get(name)
        same = there is not None and there["state"] == task.state()
        if same and (folder / head_file(task.head_name)).is_file():
            load_head(model.head(name), folder / head_file(task.head_name))
            copied.append(name)
    return copied


def _trunk_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "model.safetensors"
    try:
        return dict(load_file(path))
    except Exception as error:
        raise CheckpointError(f"{path}: Expected the trunk's weights: {error}.") from error


def check_head_names(tasks: Mapping[str, Task], asked: list[str]) -> None:
    """Raise a ConfigError if a task was asked for that the model does not have."""
    for name in asked:
        if name not in tasks:
            raise ConfigError(one_of("--task", name, tasks))
