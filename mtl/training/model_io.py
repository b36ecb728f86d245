"""The `model/` folder of a run: what `mtl` and other programs load.

``config.json``, ``model.safetensors`` and the tokenizer are the trunk's, so that transformers
opens the folder as it is; each head has a safetensors file of its own; ``mtl.json`` says what
the tasks are, and ``trained_on.npy`` has hashes of the texts that training had.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mtl.config.schema import TrunkConfig
from mtl.data.holdout import NONE, Keys
from mtl.errors import CheckpointError, ConfigError, Problem, few, one_of
from mtl.files import whole_folder
from mtl.tasks import Task
from mtl.training.description import (
    DESCRIPTION,
    Description,
    FilesDescription,
    describe,
    model_folder,
    read_description,
    restore_tasks,
)
from mtl.training.model import MultiTaskModel, build_heads, first_difference, shared
from mtl.trunk import TextEncoder, Trunk
from mtl.trunk.load import NoModel, load_trunk
from mtl.trunk.quantized import is_quantized, whole
from mtl.trunk.safety import OWN_CODE
from mtl.trunk.tuning import load_adapters, merged, save_adapters, without_adapters

TRAINED_ON = "trained_on.npy"


@dataclass
class LoadedModel:
    """A model folder, ready to use."""

    model: MultiTaskModel
    encoder: TextEncoder
    description: Description

    def attention(self, task: str) -> str:
        """Return how a task's documents are read: ``causal`` or ``bidirectional``."""
        return self.description.tasks[task].attention or self.model.trunk.attention


def save_model(
    folder: Path,
    model: MultiTaskModel,
    encoder: TextEncoder,
    columns: Mapping[str, Mapping[str, object]],
    attention: Mapping[str, str] | None = None,
    tokens: int | None = None,
    trained_on: Keys = NONE,
    files: Mapping[str, FilesDescription] | None = None,
    base: str | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        folder: Made, or replaced if it exists.
        model: What to save.
        encoder: Its window size and prefix are kept.
        columns: By task: the columns of its data, for `mtl evaluate` on files of the same shape.
        attention: By task: how its documents are read; the trunk's own way where not named.
        tokens: Most tokens in one trunk pass of training.
        trained_on: Hashes of the texts that it learned from.
        files: By task: how the files of its data are written.
        base: The name or folder of the trunk that training began with, for adapters.
    """
    about = describe(model, encoder, columns, attention or {}, tokens, files)
    text = json.dumps(about.model_dump(), indent=2, ensure_ascii=False)
    trunk = model.trunk
    with whole_folder(folder) as beside:
        with _plain(trunk):
            (trunk.model if trunk.output is None else trunk.output.model).save_pretrained(beside)
        save_adapters(trunk, beside, base)
        trunk.tokenizer.save_pretrained(beside)
        for name, head in model.heads.items():
            state = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
            save_file(state, beside / head_file(name))
        np.save(beside / TRAINED_ON, np.unique(trained_on), allow_pickle=False)
        (beside / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def _plain(trunk: Trunk) -> AbstractContextManager[None]:
    """Let a trunk have plain layers, with one adapter of all tasks merged into their weights."""
    if any(is_quantized(module) for module in trunk.model.modules()):
        return whole(trunk.model, merge=not trunk.readers)
    return (without_adapters if trunk.readers else merged)(trunk.model)


def trained_on(folder: Path) -> Keys:
    """Return hashes of the texts that a model learned from; none where its folder has none."""
    try:
        found = np.load(model_folder(folder) / TRAINED_ON, allow_pickle=False)
    except (OSError, ValueError):
        return NONE
    return found if found.dtype == NONE.dtype else NONE


def head_file(name: str) -> str:
    """Return the file name of a head's weights."""
    return f"head-{name}.safetensors"


def load_model(folder: Path, *, trust_remote_code: bool = False) -> LoadedModel:
    """Load a run's folder, or the `model/` folder in it.

    Raises:
        CheckpointError: If the folder holds no model, or its parts do not fit together.
    """
    folder = model_folder(folder)
    description = read_description(folder)
    about = description.trunk
    tasks = restore_tasks(description, folder / DESCRIPTION)
    try:
        writes = any(task.traits.writes for task in tasks)
        trunk = load_trunk(
            TrunkConfig(
                name="hf",
                path=str(folder),
                attention=about.attention,
                trust_remote_code=trust_remote_code,
            ),
            writes=writes,
        )
    except (ConfigError, SafetensorError) as error:
        code = isinstance(error, NoModel) and error.wants_code
        reason = error.reason if isinstance(error, NoModel) else str(error).rstrip(".")
        advice = "Copy the folder again, or train anew."
        if code:
            reason = f"{OWN_CODE}add `--trust-remote-code`"
            advice = "Read the code first."
        raise CheckpointError(
            f"{folder}: the trunk cannot be loaded: {reason}. {advice}"
        ) from error
    if about.adapters:
        load_adapters(trunk, folder, about.adapters)
    heads = build_heads(tasks, trunk.hidden_size, seed=0, output=trunk.output)
    encoder = trunk.text_encoder(about.max_length, about.stride, prefix_space=about.prefix_space)
    model = MultiTaskModel(trunk, tasks, heads).eval()
    for name, head in heads.items():
        load_head(head, folder / head_file(name))
    return LoadedModel(model, encoder, description)


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
        ConfigError: If a task of both is not the same one, so that its head would not fit.
    """
    folder = model_folder(folder)
    try:
        description = read_description(folder)
    except CheckpointError as error:
        raise CheckpointError(f"`init`: {error}") from error
    if description.trunk.adapters:
        expected = "to be a run whose trunk has what it learned"
        found = f"in '{folder}' each task has an adapter beside it"
        advice = "Begin with a run of tuning.adapters=shared, or with the trunk itself."
        raise CheckpointError(Problem("init", expected, found, advice))
    with without_adapters(model.trunk.model):
        _copy_trunk(model.trunk, folder)
    others = {t.name: t for t in restore_tasks(description, folder / DESCRIPTION)}
    copied = []
    for name, task in model.tasks.items():
        if name not in others:
            continue
        if odd := _difference(task, others[name]):
            expected = f"to be the task that it is in '{folder}'"
            anew = f"learn it anew under another name, with a file: conf/task/{name}_2.yaml."
            labels = _labels_to_set(name, task, others[name])
            advice = f"{labels or 'Give it the labels and options that it had'}, or {anew}"
            raise ConfigError(Problem(f"tasks.{name}", expected, odd, advice))
        path = folder / head_file(others[name].head_name)
        there = _read_weights(path) if path.is_file() else {}
        here = model.head(name).state_dict()
        if there and there.keys() != here.keys():
            odd = first_difference(there, here)
            expected = f"to be as it is in '{folder}'"
            advice = "Set its options as they were, or call the task by another name to learn anew."
            raise ConfigError(Problem(f"tasks.{name}.head", expected, str(odd), advice))
        load_head(model.head(name), path)
        copied.append(name)
    return copied


def _copy_trunk(trunk: Trunk, folder: Path) -> None:
    body = trunk.model
    there = _read_weights(folder / "model.safetensors")
    weights = _bare(there, body)
    if odd := first_difference(weights, _untied(body, weights)):
        raise CheckpointError(
            f"Expected `init` to be a run with the same trunk, but in '{folder}' {odd}; choose "
            "its trunk, or another run."
        )
    body.load_state_dict(weights, strict=False)
    if trunk.output is not None:
        _copy_output(trunk.output.model, body, there)


def _copy_output(writer: nn.Module, body: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy what a language model has beside its body, where a run that wrote has it too."""
    inside = {value.data_ptr() for value in body.state_dict().values()}
    own = {n for n, value in writer.state_dict().items() if value.data_ptr() not in inside}
    writer.load_state_dict({n: v for n, v in weights.items() if n in own}, strict=False)


def _difference(task: Task, other: Task) -> str | None:
    """Return how two tasks differ that could not share a head; None if they could."""
    if task.type != other.type:
        return f"its type is {task.type} here, and {other.type} there"
    try:
        fixed = shared(task, [other])
    except ConfigError:
        return "it learns otherwise here"
    for name in fixed:
        here, there = (getattr(one.learned, name) for one in (task, other))
        if here != there:
            return f"its {name} are {_named(here)} here, and {_named(there)} there"
    return None


def _labels_to_set(name: str, task: Task, other: Task) -> str:
    """Return what gives a task the labels of another one; empty where rows have further ones."""
    here, there = (getattr(one.learned, "labels", None) for one in (task, other))
    if not (isinstance(here, list) and isinstance(there, list) and {*here} <= {*there}):
        return ""
    key = f"tasks.{name}.data.labels=[{','.join(map(str, there))}]"
    return f"Add {shlex.quote(key)}, the labels that it had"


def _named(value: object) -> str:
    return few(list(map(str, value))) if isinstance(value, list | tuple) else f"'{value}'"


def _bare(weights: dict[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """Return weights under the base model's own names, whether or not an output layer was there.

    transformers saves a language model's under a prefix, beside those of its output layer.
    """
    prefix = model.base_model_prefix + "."
    names = {name.removeprefix(prefix): name for name in weights}
    known = model.state_dict()
    if all(name == there for name, there in names.items()):
        return {n: v for n, v in weights.items() if n in known or not n.startswith("lm_head.")}
    return {bare: weights[name] for bare, name in names.items() if name.startswith(prefix)}


def _untied(model: nn.Module, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a model's weights without those that a file need not have.

    They are those that it has under another name, and T5's output layer: there it is a part of
    the body, and a run without it did not write.
    """
    state = model.state_dict()
    there = {state[name].data_ptr() for name in found if name in state}

    def needed(name: str, value: torch.Tensor) -> bool:
        return value.data_ptr() not in there and not name.startswith("lm_head.")

    return {n: v for n, v in state.items() if n in found or needed(n, v)}


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().rstrip(".")
        raise CheckpointError(
            f"{path}: Expected a safetensors file, but it cannot be read: {reason}."
        ) from error


def check_head_names(
    tasks: Mapping[str, Task], asked: Iterable[str], where: str = "--task"
) -> None:
    """Raise a ConfigError if a task was asked for, `where`, that the model does not have."""
    for name in asked:
        if name not in tasks:
            raise ConfigError(one_of(where, name, tasks))
