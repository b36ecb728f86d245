"""Scores of a trained run: on its own splits, or on a file.

Rows become passes exactly as they did in training, so that the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtl.config.saved import HYDRA, saved_config, saved_file
from mtl.config.schema import Config
from mtl.config.section import Values
from mtl.data.holdout import text_keys
from mtl.data.rows import Rows
from mtl.data.sources import Splits
from mtl.errors import CheckpointError, ConfigError, DataError, one_of
from mtl.inference.inputs import File, read_labelled
from mtl.inference.predictor import RowPredictor
from mtl.metrics.aggregate import aggregate
from mtl.tasks.base import remarks
from mtl.tasks.encode import encode_split
from mtl.training.evaluation import Evaluation, higher_is_better
from mtl.training.model_io import load_model, trained_on
from mtl.training.setup import read_splits

SPLITS = ("test", "validation")

Track = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows progress: ``(what, total)``; yields what is called with how many more are done."""


@dataclass(frozen=True)
class TaskReport:
    """What one task scores."""

    task: str
    type: str
    metric: str
    """The primary one."""
    examples: int
    scores: dict[str, float]
    """On 0 to 1 where the metric has such a scale."""
    tables: dict[str, list[Any]]
    """By name: rows of one type of :mod:`mtl.metrics.tables`."""

    @property
    def value(self) -> float:
        """The primary metric's value."""
        return self.scores[self.metric]

    def as_dict(self) -> Values:
        """Return plain JSON values."""
        tables = {name: [row._asdict() for row in rows] for name, rows in self.tables.items()}
        return {**asdict(self), "tables": tables}


@dataclass(frozen=True)
class Report:
    """Reports of some tasks on one split or file."""

    data: str
    """``test``, ``validation`` or a file."""
    tasks: dict[str, TaskReport]
    score: float | None
    """The weighted mean of the primary metrics, as in training; None on a file."""
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> Values:
        """Return plain JSON values."""
        tasks = {name: report.as_dict() for name, report in self.tasks.items()}
        found = {"data": self.data, "tasks": tasks}
        return found if self.score is None else {**found, "score": self.score}


def evaluate(
    run: Path,
    tasks: Sequence[str] | None = None,
    data: str | File = "test",
    device: str = "auto",
    track: Track | None = None,
    tokens: int | None = None,
    *,
    trust_remote_code: bool = False,
) -> Report:
    """Score a run on its own data, or one of its tasks on a file.

    Args:
        run: The folder of a run; for a file, of a model is enough.
        tasks: The tasks to score; when None, all that have the split.
        data: ``test``, ``validation``, or a file of the shape of the task's training data.
        device: As for :class:`RowPredictor`.
        track: Shows progress.
        tokens: Most tokens in one trunk pass; as in training when None.
        trust_remote_code: Whether the run's trunk may bring Python code of its own.

    Raises:
        MtlError: If run, configuration or data cannot be used.
    """
    if isinstance(data, str) and data not in SPLITS:
        raise ConfigError(one_of("--split", data, SPLITS))
    folder = run_folder(run)
    bare = isinstance(data, File) and not (folder / HYDRA).is_dir()
    cfg = Config() if bare else run_config(folder)
    loaded = load_model(run, trust_remote_code=trust_remote_code)
    # The budget that training had is the configuration's, unless it was searched for.
    budget = tokens or loaded.description.tokens or cfg.batching.tokens
    pack, precision = cfg.batching.pack, cfg.trainer.precision
    predictor = RowPredictor(loaded, device, budget, pack=pack, precision=precision)
    names = predictor.choose(tasks)
    if isinstance(data, File):
        (name,) = names
        about = loaded.description.tasks[name]
        rows = read_labelled(data, predictor.tasks[name], about.columns, about.files)
        seen = int(np.isin(text_keys(rows, name), trained_on(run)).sum())
        if seen:
            data.notes.append(
                f"{seen:,} of {len(rows):,} rows of {data.pattern} have a text that the model "
                "learned from: its scores on them say little about new texts."
            )
        found_on_file = score(predictor, {name: rows}, track)
        data.notes.extend(remarks(predictor.tasks[name]))
        return Report(data.pattern, found_on_file, None, data.notes)
    splits = splits_of(cfg, predictor, data, folder)
    notes = [line for name in names for line in splits[name].notes]
    found: dict[str, Rows | None] = {name: getattr(splits[name], data) for name in names}
    reports = score(predictor, _present(found, data, tasks is not None, notes), track)
    notes += [line for name in names for line in remarks(predictor.tasks[name])]
    known = predictor.tasks
    primary = {
        n: (known[n].weight, r.value, higher_is_better(known[n])) for n, r in reports.items()
    }
    return Report(data, reports, aggregate(primary), notes)


def _present(
    found: Mapping[str, Rows | None], split: str, named: bool, notes: list[str]
) -> dict[str, Rows]:
    """Return the rows of tasks that have a split; all must, if the user named them."""
    chosen = {name: part for name, part in found.items() if part}
    missing = [name for name in found if name not in chosen]
    if missing and (named or not chosen):
        raise DataError(
            f"Expected tasks.{missing[0]}.data to have a {split} split, but it has none; choose "
            "another with `--split`, or give `--data FILE`."
        )
    notes += [f"tasks.{name}.data has no {split} split: it is left out." for name in missing]
    return chosen


def score(
    predictor: RowPredictor, rows: Mapping[str, Rows], track: Track | None = None
) -> dict[str, TaskReport]:
    """Return each task's report on its rows, all of them answered in the same trunk passes.

    Raises:
        DataError: If a target is not one that training had.
    """
    show = track or (lambda what, total: nullcontext(lambda count: None))
    tasks = {name: predictor.tasks[name] for name in rows}
    total = sum(map(len, rows.values()))
    encoder = predictor.loaded.encoder
    with show("Encoding", total) as advance:
        stores = [
            encode_split(tasks[n], part, encoder, predictor.loaded.attention(n), advance)
            for n, part in rows.items()
        ]
    evaluation = Evaluation(tasks, stores)
    # What is written for is answered twice: what the right text costs, and the text.
    total = sum(len(s) * (2 if tasks[s.task].writer() else 1) for s in stores)
    with show("Evaluating", total) as advance:
        for answered in predictor.outputs(stores):
            evaluation.update(answered.task, answered.outputs, answered.examples)
            advance(len(answered.outputs))
    scores = evaluation.compute()
    return {
        name: TaskReport(
            task=name,
            type=task.type,
            metric=task.primary_metric,
            examples=len(rows[name]),
            scores=scores[name],
            tables=evaluation.tables(name),
        )
        for name, task in tasks.items()
    }


def run_folder(folder: Path) -> Path:
    """Return the run's folder, also where its ``model`` folder is named."""
    return folder.parent if folder.name == "model" and not (folder / HYDRA).is_dir() else folder


def run_config(folder: Path) -> Config:
    """Return the configuration of a run.

    Raises:
        CheckpointError: If it is missing or cannot be read.
    """
    if folder.is_dir() and not saved_file(folder).is_file():
        raise CheckpointError(
            f"Expected '{folder}' to be a run with {HYDRA}/config.yaml, which names its data, but "
            "it has none; give `--task NAME --data FILE`."
        )
    return saved_config(folder)


def splits_of(cfg: Config, predictor: RowPredictor, split: str, folder: Path) -> dict[str, Splits]:
    """Return the rows of a split, read as training read them, of all tasks at once."""
    for name in predictor.tasks:
        if name not in cfg.tasks:
            raise CheckpointError(
                f"{folder / HYDRA / 'config.yaml'}: Expected task '{name}' of the run's model, but "
                f"found {{{', '.join(cfg.tasks)}}}; it belongs to another run."
            )
    return read_splits(cfg, predictor.tasks.values(), started_in(folder), only=(split,))


def started_in(folder: Path) -> Path | None:
    """Return the folder that the run's relative paths start from, if it is known and there."""
    import yaml

    try:
        saved = yaml.safe_load((folder / HYDRA / "hydra.yaml").read_text(encoding="utf-8"))
        start = Path(saved["hydra"]["runtime"]["cwd"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None
    return start if start.is_dir() else None
