"""What formats share: what is exported, what was asked for, and a folder that is whole or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mtl import __version__
from mtl.config.saved import saved_config, saved_file
from mtl.config.schema import Config
from mtl.config.section import Values
from mtl.errors import CheckpointError, ConfigError, Problem
from mtl.export.manifest import MANIFEST, write_manifest
from mtl.files import whole_folder
from mtl.inference.evaluator import run_folder
from mtl.launch.processes import METRICS_FILE, read_metrics
from mtl.registry import Registry
from mtl.tasks import Task
from mtl.training.description import Description, model_folder, read_description
from mtl.training.model_io import LoadedModel, check_head_names, load_model

CARD = "README.md"


class Source:
    """A trained model, and what is known of its run.

    Args:
        run: The folder of a run, or of a model.
        trust_remote_code: Whether its trunk may bring Python code of its own.

    Raises:
        CheckpointError: If it holds no model.
    """

    def __init__(self, run: Path, *, trust_remote_code: bool = False) -> None:
        self.run = run_folder(run)
        self.folder = model_folder(run)
        self.description: Description = read_description(self.folder)
        self.trust_remote_code = trust_remote_code

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model, opened once."""
        return load_model(self.folder, trust_remote_code=self.trust_remote_code)

    @cached_property
    def config(self) -> Config | None:
        """The run's configuration; None of a model without its run."""
        return saved_config(self.run) if saved_file(self.run).is_file() else None

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The run's metrics; none of a model without its run."""
        return read_metrics(self.run) if (self.run / METRICS_FILE).is_file() else {}

    def choose(self, names: Sequence[str] | None) -> list[Task]:
        """Return the tasks asked for, or all.

        Raises:
            ConfigError: If the model has no such task.
        """
        tasks = self.loaded.model.tasks
        check_head_names(tasks, list(names or []))
        return [tasks[name] for name in names or tasks]


@dataclass(frozen=True)
class Request:
    """What is asked of a format."""

    tasks: Sequence[str] | None = None
    """Those to export; all when None."""
    head: str | None = None
    """Which of transformers' heads a single task becomes; the one of its type when None."""
    base: str | None = None
    """The name of the model that adapters are for; the one training began with when None."""
    int8: bool = False
    licence: str = "unknown"


@dataclass
class Made:
    """What a format says of what it wrote, for the model card and the manifest."""

    library: str
    usage: str
    """Markdown: how it is opened."""
    tasks: list[str]
    pipeline: str | None = None
    """The Hub's name of what it does."""
    base: str | None = None
    limits: list[str] = field(default_factory=list)
    """Sentences."""
    notes: list[str] = field(default_factory=list)
    """What the user is told at once, beside the card."""
    sections: dict[str, str] = field(default_factory=dict)
    """Further sections of the card, by title."""
    facts: Values = field(default_factory=dict)
    """Further facts for the manifest."""


Format = Callable[[Source, Request, Path], Made]
"""Writes files of a model into an empty folder."""
FORMATS: Registry[Format] = Registry("--format", "mtl.exports")


def export(
    source: Source, to: Path, format: str, request: Request, *, overwrite: bool = False
) -> Made:
    """Write a model into a folder, whole or not at all, with a model card.

    Args:
        source: The model.
        to: The folder.
        format: A name of :data:`FORMATS`.
        request: What is asked of it.
        overwrite: Whether an earlier export there is replaced.

    Raises:
        MtlError: If the model cannot be had in that format, or the folder not be written.
    """
    from mtl.export.card import write_card

    make = FORMATS.get(format)
    check_place(source, to, overwrite=overwrite)
    new = [parent for parent in to.absolute().parents if not parent.exists()]
    try:
        with whole_folder(to) as folder:
            made = make(source, request, folder)
            write_manifest(folder, format, __version__, source, made)
            (folder / CARD).write_text(write_card(source, request, made), encoding="utf-8")
    except OSError as error:
        found = f"got '{to}' ({error.strerror or error})"
        raise ConfigError(Problem("DEST", "to be a folder that can be written", found)) from error
    finally:
        if not to.exists():
            for parent in new:
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()
    return made


OPTIONS = {
    "head": ("--as", "transformers"),
    "int8": ("--int8", "onnx"),
    "base": ("--base", "adapter"),
}
"""Parts of a request that are for one format: the option, and the format."""


def check_request(request: Request, format: str) -> None:
    """Refuse options of another format.

    Raises:
        ConfigError: With the option.
    """
    FORMATS.get(format)
    for name, (option, wanted) in OPTIONS.items():
        if getattr(request, name) and format != wanted:
            expected = f"to stand beside `--format {wanted}`"
            raise ConfigError(Problem(option, expected, f"the format is {format}"))


def check_place(source: Source, to: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but an earlier export that may be replaced.

    Raises:
        ConfigError: With what stands there.
    """
    place = to.resolve()
    inside = [f.resolve() for f in (source.run, source.folder)]
    if any(place == one or place in one.parents for one in inside):
        found = f"'{to}' holds the model that is to be exported"
        raise ConfigError(Problem("DEST", "to be a folder of its own", found))
    if to.is_dir() and not any(to.iterdir()):
        return
    if not to.exists():
        return
    expected = "to be a new folder, so that nothing is lost"
    if not (to / MANIFEST).is_file():
        found = f"'{to}' is there and holds no export"
        raise ConfigError(Problem("DEST", expected, found, "Name another one."))
    if not overwrite:
        advice = "Add `--overwrite` to replace it, or name another one."
        raise ConfigError(Problem("DEST", expected, f"'{to}' holds an export", advice))


def whole_trunk(source: Source, where: str) -> None:
    """Refuse a model whose tasks have an adapter each: it has no one trunk.

    Raises:
        ConfigError: With the formats that hold it.
    """
    if source.description.trunk.adapters:
        expected = "to be for models with one trunk for all tasks"
        found = "its tasks have an adapter each (tuning.adapters=per_task)"
        raise refused(
            where, expected, found, "Use `--format hub`, or `--format adapter --task NAME`."
        )


def refused(where: str, expected: str, found: str, advice: str) -> ConfigError:
    """Return the error of a model that a format cannot hold, with what can be done instead."""
    return ConfigError(Problem(where, expected, found, advice))


def lacks(folder: Path, what: str, advice: str) -> CheckpointError:
    """Return the error of a model folder without something that a format wants."""
    return CheckpointError(Problem(str(folder), f"to have {what}", "it has none", advice))
