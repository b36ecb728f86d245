"""``mtl.json`` in a model folder: what the tasks are, and how texts reach the trunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtl.config.build import build
from mtl.config.rules import NAME, is_name
from mtl.errors import CheckpointError, ConfigError, join_problems
from mtl.tasks import Task
from mtl.tasks.base import restore
from mtl.training.model import make_task

FORMAT = 1
DESCRIPTION = "mtl.json"


@dataclass
class TrunkAbout:
    """What ``mtl.json`` says about the trunk."""

    architecture: str
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
    metrics: list[Any] = field(default_factory=list)


@dataclass
class Description:
    """What ``mtl.json`` says."""

    format: int
    trunk: TrunkAbout
    tasks: dict[str, TaskAbout]
    tokens: int | None = field(default=None, metadata={"min": 1})


def model_folder(folder: Path) -> Path:
    """Return the `model/` folder of a run; a folder that is no finished run as it is."""
    inner = folder / "model"
    return inner if (inner / DESCRIPTION).is_file() else folder


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
        if not isinstance(description, dict):
            raise TypeError("no group of keys")
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
    problems = problems or _misnamed(description["tasks"])
    if problems:
        raise CheckpointError(f"{path}: {join_problems(problems)}")
    return dict(description)


def _misnamed(tasks: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each name of a task or head that could lead out of the folder."""
    names = [("names in `tasks`", name) for name in tasks]
    names += [(f"name in `tasks.{name}.head`", s["head"].get("name")) for name, s in tasks.items()]
    return [
        f"Expected the {what} to be {NAME}, but got '{name}'."
        for what, name in names
        if name is not None and not is_name(str(name))
    ]


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
    metrics = spec.get("metrics", ())
    task = make_task(name, **{part: spec[part] for part in parts}, metrics=metrics)
    restore(task, spec["state"])
    return task
