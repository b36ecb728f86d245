"""``mtl.json`` in a model folder: what the tasks are, and how texts reach the trunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from mtl.config.rules import NAME, is_name
from mtl.config.schema import Attention, FileConfig, LabelConfig
from mtl.config.section import Field, Flag, Number, Section, Text, Whole, check
from mtl.errors import CheckpointError, ConfigError, MtlError, Problem, meant_folder
from mtl.tasks import Task
from mtl.tasks.base import restore
from mtl.training.model import MultiTaskModel, build_task
from mtl.trunk import TextEncoder

FORMAT = 1
DESCRIPTION = "mtl.json"


class TrunkDescription(Section):
    """The trunk, and how texts reach it."""

    architecture: Text
    attention: Attention
    max_length: Whole = Field(ge=1)
    stride: Whole = Field(ge=0)
    prefix_space: Flag
    adapters: list[Text] = []
    """Tasks with an adapter each, in ``adapter/NAME``; none where the weights have all that is
    learned."""

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: object) -> object:
        """Read folders of earlier versions, which called the architecture `kind`."""
        if isinstance(values, dict) and "kind" in values and "architecture" not in values:
            return {"architecture" if k == "kind" else k: v for k, v in values.items()}
        return values


class FilesDescription(FileConfig):
    """How training's files are written."""

    found: dict[str, Any] = {}
    """By option: what reading found, where it was not said."""


class TaskDescription(Section):
    """A task."""

    type: Text
    options: dict[str, Any]
    head: dict[str, Any]
    metric: Text
    weight: Number = Field(ge=0)
    state: dict[str, Any]
    columns: dict[str, Any]
    attention: Attention | None = None
    """How its documents are read; as the trunk reads when unset."""
    metrics: list[Any] = []
    """Metrics that its configuration adds."""
    labels: LabelConfig = LabelConfig()
    files: FilesDescription = FilesDescription()


class Description(Section):
    """What ``mtl.json`` says."""

    format: Whole = FORMAT
    trunk: TrunkDescription
    tasks: dict[str, TaskDescription]
    tokens: Whole | None = Field(None, ge=1)
    """Most tokens in one trunk pass of training."""


def files_of(data: FileConfig, found: Mapping[str, Any]) -> FilesDescription:
    """Return how the files of a ``data`` section are written.

    Args:
        data: What was said of them.
        found: What reading found.
    """
    said = {name: getattr(data, name) for name in FileConfig.model_fields}
    return FilesDescription(**said, found=dict(found))


def describe(
    model: MultiTaskModel,
    encoder: TextEncoder,
    columns: Mapping[str, Mapping[str, object]],
    attention: Mapping[str, str],
    tokens: int | None = None,
    files: Mapping[str, FilesDescription] | None = None,
) -> Description:
    """Return what ``mtl.json`` holds; see :func:`mtl.training.model_io.save_model`."""
    trunk = TrunkDescription(
        architecture=model.trunk.architecture,
        attention=model.trunk.attention,
        max_length=encoder.max_length,
        stride=encoder.stride,
        prefix_space=encoder.prefix_space,
        adapters=list(model.trunk.readers),
    )
    tasks = {
        name: TaskDescription(
            type=task.type,
            options=task.options.model_dump(),
            head=task.head_options.model_dump(),
            metric=task.primary_metric,
            weight=task.weight,
            metrics=list(task.more_metrics),
            state=task.learned.model_dump(),
            columns=dict(columns.get(name, {})),
            labels=LabelConfig(**{n: getattr(task.labels, n) for n in LabelConfig.model_fields}),
            files=(files or {}).get(name, FilesDescription()),
            attention=attention.get(name, model.trunk.attention),
        )
        for name, task in model.tasks.items()
    }
    return Description(trunk=trunk, tasks=tasks, tokens=tokens)


def model_folder(folder: Path) -> Path:
    """Return the `model/` folder of a run; a folder that is no finished run as it is."""
    inner = folder / "model"
    return inner if (inner / DESCRIPTION).is_file() else folder


def read_description(folder: Path) -> Description:
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
            f"{path}: Expected format {FORMAT} or an earlier one, but got {written}; a newer mtl "
            "wrote it: update yours (pip install --upgrade)."
        )
    model, wrong = check(Description, description)
    problems = wrong or _unusable(model.tasks)
    if problems:
        raise CheckpointError(f"{path}: {MtlError(*problems)}")
    return model


def _unusable(tasks: Mapping[str, TaskDescription]) -> list[Problem | str]:
    """Return what is wrong with tasks: none, or names that could lead out of the folder."""
    if not tasks:
        return [Problem("tasks", "to have one or more", "there is none")]
    names: list[tuple[str, object]] = [("names in `tasks`", name) for name in tasks]
    names += [(f"name in `tasks.{n}.head`", t.head.get("name")) for n, t in tasks.items()]
    return [
        f"Expected the {what} to be {NAME}, but got '{name}'."
        for what, name in names
        if name is not None and not is_name(str(name))
    ]


def _no_model(folder: Path) -> str:
    expected = f"Expected '{folder}' to be a run or a model folder of mtl, but"
    if not folder.is_dir():
        return f"{expected} there is no such folder.{meant_folder(folder)}"
    if (folder / "checkpoints").is_dir():
        return f"{expected} it ended early and has checkpoints only; continue it with resume=RUN."
    return f"{expected} it has no {DESCRIPTION}; train.py writes one at the end of a run."


def restore_tasks(description: Description, path: Path) -> list[Task]:
    """Build all tasks of a description.

    Raises:
        CheckpointError: If an entry is missing or unknown, with the file's `path`.
    """
    try:
        tasks = [build_task(name, spec) for name, spec in description.tasks.items()]
        for task in tasks:
            restore(task, description.tasks[task.name].state)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = f"one has no {error}" if isinstance(error, KeyError) else f"got: {error}"
        raise CheckpointError(
            f"{path}: Expected tasks as this version of mtl writes them, but {found}."
        ) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return tasks
