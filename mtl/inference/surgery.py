"""Heads of a model folder, removed, renamed and added alone: no other weight changes.

A head is a safetensors file of its own and an entry of ``mtl.json``; the trunk's files are not
touched.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mtl.config.rules import NAME, is_name
from mtl.config.section import Values
from mtl.errors import CheckpointError, ConfigError, Problem, one_of
from mtl.training.description import DESCRIPTION, model_folder, read_description
from mtl.training.model_io import LoadedModel, head_file, load_model
from mtl.trunk.tuning.saving import FOLDER as ADAPTER


@dataclass(frozen=True)
class HeadFacts:
    """A head as ``mtl heads`` lists it."""

    task: str
    type: str
    head: str
    """The head's own name; tasks may share one."""
    parameters: int
    labels: int | None
    """How many; None where it has none."""

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table shows."""
        labels = "" if self.labels is None else str(self.labels)
        return self.task, self.type, self.head, labels, f"{self.parameters:,}"


def list_heads(loaded: LoadedModel) -> list[HeadFacts]:
    """Return the heads of a model, in the order of its tasks."""
    found = []
    for name, task in loaded.model.tasks.items():
        head = loaded.model.head(name)
        labels = getattr(task.learned, "labels", None)
        count = sum(p.numel() for p in head.parameters())
        known = None if labels is None else len(labels)
        found.append(HeadFacts(name, task.type, task.head_name, count, known))
    return found


def keep_only(folder: Path, names: Sequence[str]) -> None:
    """Remove all tasks from a model folder but some, and the heads that none of these uses.

    Raises:
        ConfigError: If it has no such task, or none would be left.
    """
    about = _read(folder)
    tasks = about["tasks"]
    for name in names:
        if name not in tasks:
            raise ConfigError(one_of("--task", name, tasks))
    if not names:
        expected = "to leave a task in the model"
        raise ConfigError(Problem("--remove", expected, f"got all of them: {', '.join(tasks)}"))
    about["tasks"] = {name: tasks[name] for name in tasks if name in names}
    used = {head_of(name, one) for name, one in about["tasks"].items()}
    for head in {head_of(name, one) for name, one in tasks.items()} - used:
        (folder / head_file(head)).unlink()
    adapters = about["trunk"].get("adapters", [])
    for name in set(adapters) - set(names):
        shutil.rmtree(folder / ADAPTER / name)
    if adapters:
        about["trunk"]["adapters"] = [name for name in adapters if name in names]
    _write(folder, about)


def rename(folder: Path, old: str, new: str) -> None:
    """Give a task of a model folder another name, and its head too where it is its own.

    Raises:
        ConfigError: If it has no such task, or the new name is taken or none.
    """
    about = _read(folder)
    tasks = about["tasks"]
    if old not in tasks:
        raise ConfigError(one_of("--rename", old, tasks))
    _check_new(new, tasks, "--rename")
    own = head_of(old, tasks[old]) == old and tasks[old]["head"].get("name") is None
    if own:
        (folder / head_file(old)).rename(folder / head_file(new))
    about["tasks"] = {new if name == old else name: one for name, one in tasks.items()}
    adapters = about["trunk"].get("adapters", [])
    if old in adapters:
        (folder / ADAPTER / old).rename(folder / ADAPTER / new)
        about["trunk"]["adapters"] = [new if name == old else name for name in adapters]
    _write(folder, about)


def add(folder: Path, other: Path, name: str) -> None:
    """Add a task and its head from a model with the very same trunk.

    Args:
        folder: A model folder.
        other: The folder of a run or a model.
        name: A task of it.

    Raises:
        ConfigError: If there is no such task, or its name is taken.
        CheckpointError: If the trunk is another one, or read otherwise.
    """
    other = model_folder(other)
    there, about = _read(other), _read(folder)
    if name not in there["tasks"]:
        raise ConfigError(one_of("--add", name, there["tasks"]))
    _check_new(name, about["tasks"], "--add")
    head = head_of(name, there["tasks"][name])
    taken = {head_of(n, one): n for n, one in about["tasks"].items()}
    if head in taken:
        expected = "to bring a head of another name"
        found = f"head '{head}' is there, of task '{taken[head]}'"
        raise ConfigError(Problem("--add", expected, found, "Rename one of them first."))
    if odd := other_trunk(load_model(folder), load_model(other), name):
        raise CheckpointError(
            Problem(
                f"--add {other}:{name}",
                "to be of a model with the same trunk, bit for bit",
                odd,
                "Its head would read other states than it learned from: train it on this model "
                "(init=RUN tuning=frozen, docs/adding-to-a-run.md).",
            )
        )
    shutil.copy2(other / head_file(head), folder)
    about["tasks"][name] = there["tasks"][name]
    _write(folder, about)


def other_trunk(here: LoadedModel, there: LoadedModel, task: str) -> str | None:
    """Return how the trunk of another model differs; None if a head of it can be used here.

    Args:
        here: The model.
        there: The other one.
        task: Of the other one; what writes needs the output layer, too.
    """
    mine, other = here.description.trunk, there.description.trunk
    if mine.adapters or other.adapters:
        return "tasks have an adapter each (tuning.adapters=per_task)"
    for key in type(mine).model_fields:
        if getattr(mine, key) != getattr(other, key):
            return f"its {key} is {getattr(other, key)} there and {getattr(mine, key)} here"
    tokenizers = [one.encoder.tokenizer.backend_tokenizer.to_str() for one in (here, there)]
    if tokenizers[0] != tokenizers[1]:
        return "its tokenizer is another one"
    trunks = here.model.trunk, there.model.trunk
    if odd := _difference(trunks[0].model, trunks[1].model):
        return odd
    if not there.model.tasks[task].traits.writes:
        return None
    if trunks[0].output is None or trunks[1].output is None:
        return "it writes texts with an output layer, which is not there"
    return _difference(trunks[0].output.model, trunks[1].output.model)


def _difference(one: nn.Module, other: nn.Module) -> str | None:
    mine, theirs = one.state_dict(), other.state_dict()
    if mine.keys() != theirs.keys():
        return f"it has other weights, such as '{min(mine.keys() ^ theirs.keys())}'"
    odd = [name for name, value in mine.items() if not torch.equal(value, theirs[name])]
    return f"{len(odd)} of its {len(mine)} weights differ, such as '{odd[0]}'" if odd else None


def head_of(name: str, task: Values) -> str:
    """Return the name of a task's head, as its description in JSON has it."""
    return str(task["head"].get("name") or name)


def _check_new(name: str, known: Iterable[str], option: str) -> None:
    if not is_name(name):
        raise ConfigError(Problem(option, f"to give a name that is {NAME}", f"got '{name}'"))
    if name in known:
        found = f"'{name}' is a task of it"
        raise ConfigError(Problem(option, "to give the model a new name", found))


def _read(folder: Path) -> Values:
    """Return a description as it is written, after a check that it can be read."""
    read_description(folder)
    found: Values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    return found


def _write(folder: Path, about: Values) -> None:
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
