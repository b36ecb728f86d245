"""Rows whose label a model doubts, found by confident learning (cleanlab, an extra).

A model says little of labels that it has learned, so each row is given to a run that was not
trained on its text, where there is one: of a sweep over folds, to the one whose fold it is in. As
written::

    {"text": "We loved it.", "sentiment": {"label": "positive", …}, "given": "negative",
     "doubted": [{"given": "negative", "suggested": "positive"}], "doubt": 0.97,
     "held_out": true, "place": "train.jsonl:12"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mtl.config.saved import HYDRA
from mtl.data.holdout import NONE, text_keys
from mtl.errors import CheckpointError, ConfigError, Problem, meant_folder
from mtl.inference.candidates import form_of
from mtl.inference.evaluator import Track, run_config, started_in
from mtl.inference.judgments import Doubt, Labelled
from mtl.inference.label_scores import choosing, label_scores, labels_of
from mtl.inference.predictor import RowPredictor
from mtl.training.description import DESCRIPTION
from mtl.training.model_io import load_model, trained_on
from mtl.training.setup import read_splits


@dataclass
class Doubts:
    """What the labels of a run's data look like to its models."""

    by_task: dict[str, list[Doubt]] = field(default_factory=dict)
    """The most doubtful first."""
    notes: list[str] = field(default_factory=list)


def runs_in(folder: Path) -> list[Path]:
    """Return the finished runs of a sweep, or the one run that a folder holds.

    Raises:
        CheckpointError: If there is none.
    """
    found = sorted(file.parent.parent for file in folder.glob(f"**/model/{DESCRIPTION}"))
    runs = [run for run in found if (run / HYDRA / "config.yaml").is_file()]
    if folder in runs:
        return [folder]
    if not runs:
        expected = "to be the folder of a run that has ended, or of a sweep of some"
        got, near = f"'{folder}' holds none", ""
        if not folder.is_dir():
            got, near = f"there is no folder '{folder}'", meant_folder(folder).strip()
        raise CheckpointError(Problem("--model", expected, got, near))
    return runs


def find_doubts(
    runs: Sequence[Path],
    names: Sequence[str] | None = None,
    device: str = "auto",
    track: Track | None = None,
) -> Doubts:
    """Return the rows of a run's data whose label is doubted.

    Args:
        runs: A run, or those of a sweep over folds of the same data.
        names: The tasks to look at; all that choose labels, choices, answers or spans when None.
        device: As for :class:`RowPredictor`.
        track: Shows progress.

    Raises:
        ConfigError: If cleanlab is missing, or no task chooses any.
        MtlError: If a run or its data cannot be read.
    """
    if find_spec("cleanlab") is None:
        expected = "to be given where cleanlab is installed, which finds doubtful labels"
        raise ConfigError(
            Problem("--model", expected, "it is not", "Type: pip install 'mtl[doubts]'.")
        )
    found = Doubts()
    labelled: dict[str, Labelled] = {}
    for run in runs:
        predictor = RowPredictor(load_model(run), device)
        if not labelled:
            labelled = _read(run, predictor, names, found.notes)
        learned = trained_on(run)
        fresh = {n: own.open_to(learned) for n, own in labelled.items()} if len(learned) else {}
        _ask(predictor, labelled, fresh, held_out=True, track=track)
    rest = {name: own.open_to(NONE) for name, own in labelled.items()}
    if any(map(len, rest.values())):
        first = predictor if len(runs) == 1 else RowPredictor(load_model(runs[0]), device)
        _ask(first, labelled, rest, held_out=False, track=track)
    for name, own in labelled.items():
        found.by_task[name] = own.doubts()
        found.notes += own.said(name, len(runs))
    return found


def _read(
    run: Path, predictor: RowPredictor, names: Sequence[str] | None, notes: list[str]
) -> dict[str, Labelled]:
    """Return the labelled rows of a run's tasks, with what was noted when they were read."""
    wanted = predictor.choose(names)
    labelling = choosing(predictor, wanted)
    chosen = [n for n in wanted if n in labelling or form_of(predictor.tasks[n]) is not None]
    if not chosen:
        expected = "to have a task that chooses labels, choices, answers or spans"
        raise ConfigError(Problem("--model", expected, f"its tasks are {', '.join(wanted)}"))
    notes += [f"{name} chooses no labels and is left out." for name in set(wanted) - set(chosen)]
    cfg = run_config(run)
    splits = read_splits(cfg, predictor.tasks.values(), started_in(run))
    found = {}
    for name in chosen:
        own, head = splits[name], predictor.model.head(name)
        parts = [own.uncut] if own.uncut is not None else [own.train, own.validation]
        kept = [part for part in (*parts, own.test) if part is not None]
        keys = np.concatenate([text_keys(part, name) for part in kept])
        rows = [row for part in kept for row in part]
        labels = labels_of(predictor.tasks[name])
        found[name] = Labelled(rows, keys, labels, head.chooses or "candidates")
    return found


def _ask(
    predictor: RowPredictor,
    labelled: Mapping[str, Labelled],
    numbers: Mapping[str, list[int]],
    *,
    held_out: bool,
    track: Track | None,
) -> None:
    """Let a model judge some rows of each task."""
    stores, kept = [], {}
    for name, asked in numbers.items():
        own, task = labelled[name], predictor.tasks[name]
        failed: dict[int, str] = {}
        at, store = predictor.encode(task, [own.rows[n] for n in asked], failed, targets=True)
        own.failed.update({asked[n]: reason for n, reason in failed.items()})
        kept[name] = [asked[n] for n in at]
        if len(store):
            stores.append(store)
    show = track or (lambda what, total: nullcontext(lambda count: None))
    with show("Looking at labels", sum(map(len, stores))) as advance:
        for name, scores in label_scores(predictor, stores, advance).items():
            task = predictor.tasks[name]
            for number, found in zip(kept[name], scores, strict=True):
                labelled[name].judge(number, found, task, held_out=held_out)
