"""Texts without labels that are worth annotating first.

A text is worth it where a head is unsure (its two likeliest labels, choices or answers are close,
or a span is as likely as not), or where two heads that know the same labels disagree. Heads are
unsure to different degrees, so a text's place among all texts counts, and not the number itself.
As written::

    {"text": "The soup was fine, I suppose.", "sentiment": {"label": "neutral", …},
     "uncertainty": {"sentiment": 0.93}, "disagreement": {}, "worth": 0.99}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mtl.config.section import Values
from mtl.inference.candidates import form_of, likely_answers
from mtl.inference.label_scores import Floats, LabelScores, choosing, label_scores, labels_of
from mtl.inference.predictor import RowPredictor
from mtl.inference.questions import ERROR, lacking
from mtl.inference.rows import chunks, prepare
from mtl.registry import Registry
from mtl.tasks import Task
from mtl.types import Row

Scores = dict[str, npt.NDArray[np.float64]]
"""By task, or by two tasks: a number for each row, not a number for rows without an answer."""
BETWEEN = " and "
UNSURE: Registry[Callable[[Task, Row, LabelScores], float]] = Registry("type of target")
"""By the type of a target's role, as in :mod:`mtl.inference.candidates`: how unsure a model is of a
row whose candidates are its own, from 0 to 1."""


@dataclass(frozen=True)
class Ranked:
    """Rows without labels, by what an annotation of each would tell."""

    order: list[int]
    """Their numbers, the most worth it first; those that no task answers are left out."""
    worth: npt.NDArray[np.float64]
    uncertainty: Scores
    disagreement: Scores

    def beside(self, number: int) -> Values:
        """Return what is written beside the answer of a row."""
        return {
            "uncertainty": _of(self.uncertainty, number),
            "disagreement": _of(self.disagreement, number),
            "worth": round(float(self.worth[number]), 4),
        }


def _of(scores: Scores, number: int) -> Values:
    found = {name: float(own[number]) for name, own in scores.items()}
    return {name: round(value, 4) for name, value in found.items() if not np.isnan(value)}


def rank(
    predictor: RowPredictor,
    rows: Sequence[Row],
    names: Sequence[str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Ranked:
    """Return rows in the order in which they are worth annotating.

    Args:
        predictor: The model.
        rows: Without labels.
        names: The tasks to annotate for; all when None. Those that write texts or say numbers are
            left out.
        advance: Called with how many more rows are ranked, for a progress bar.
    """
    wanted = predictor.choose(names)
    labelling = choosing(predictor, wanted)
    forms = {name: form_of(predictor.tasks[name]) for name in wanted if name not in labelling}
    chosen = [name for name in wanted if forms.get(name, "") is not None]
    unsure: Scores = {name: np.full(len(rows), np.nan) for name in chosen}
    apart: Scores = {
        BETWEEN.join(pair): np.full(len(rows), np.nan)
        for pair in combinations(labelling, 2)
        if len(_common(predictor, *pair)) > 1
    }
    numbered = (prepare(row, number, mark=True) for number, row in enumerate(rows, start=1))
    start = 0
    for chunk in chunks(numbered):
        found = dict(_scores(predictor, chunk, chosen))
        for name, own in found.items():
            task, form = predictor.tasks[name], forms.get(name)
            alone = predictor.model.head(name).chooses == "one"
            for number, scores in own.items():
                unsure[name][start + number] = (
                    uncertainty(scores.probabilities, one=alone)
                    if form is None
                    else UNSURE.get(form)(task, chunk[number], scores)
                )
        for key, values in apart.items():
            one, other = key.split(BETWEEN)
            for number in found.get(one, {}).keys() & found.get(other, {}).keys():
                pair = found[one][number], found[other][number]
                values[start + number] = _difference(predictor, (one, other), pair)
        start += len(chunk)
        if advance is not None:
            advance(len(chunk))
    return _ranked(unsure, {key: v for key, v in apart.items() if not np.isnan(v).all()}, len(rows))


def _scores(
    predictor: RowPredictor, rows: list[Row], names: Sequence[str]
) -> Iterator[tuple[str, dict[int, LabelScores]]]:
    """Yield what each task's head says of rows, by their numbers; one pass answers all tasks."""
    stores, kept = [], {}
    for name in names:
        task = predictor.tasks[name]
        able = [n for n, row in enumerate(rows) if ERROR not in row and lacking(task, row) is None]
        at, store = predictor.encode(task, [rows[n] for n in able], {})
        kept[name] = [able[n] for n in at]
        if len(store):
            stores.append(store)
    for name, scores in label_scores(predictor, stores).items():
        yield name, dict(zip(kept[name], scores, strict=True))


def uncertainty(probabilities: Floats, *, one: bool) -> float:
    """Return how unsure a head is, from 0 to 1, on average over the places of a text.

    Args:
        probabilities: (G, C).
        one: Whether one label holds: one less the margin between the two likeliest; else how near
            each label is to a half.

    Returns:
        Not a number where there is no place.
    """
    if not len(probabilities):
        return float("nan")
    if not one:
        return float(1 - np.abs(2 * probabilities - 1).mean())
    best = np.sort(probabilities, axis=1)
    return float(1 - (best[:, -1] - best[:, -2]).mean())


@UNSURE.register("choice")
def of_choices(task: Task, row: Row, found: LabelScores) -> float:
    """Return how close the two likeliest choices are."""
    shares = task.present(found.answer, row)["probabilities"]
    return uncertainty(np.asarray([shares], np.float32), one=True) if len(shares) > 1 else 0.0


@UNSURE.register("answers")
def of_answers(task: Task, row: Row, found: LabelScores) -> float:
    """Return how close the likeliest answer is to the next one that shares no word with it."""
    answer = task.present(found.answer, row)
    chances = likely_answers(answer, {"answers": [{"text": answer["answer"]}]}).likely
    return float(1 - (chances[0] - chances[1:].max(initial=0.0)))


@UNSURE.register("spans")
def of_spans(task: Task, row: Row, found: LabelScores) -> float:
    """Return how near the most undecided span is to a half; not a number without words."""
    del task, row
    if not found.probabilities.size:
        return float("nan")
    return float(1 - np.abs(2 * found.probabilities - 1).min())


def disagreement(one: Floats, other: Floats) -> float:
    """Return how far two heads are apart on the same labels: their mean total variation distance.

    Args:
        one: (G, C), of labels that both know.
        other: The same of the other head.

    Returns:
        From 0 to 1; not a number where they label different places, or know none of the labels.
    """
    sums = one.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)
    if one.shape != other.shape or not one.size or min(side.min() for side in sums) <= 0:
        return float("nan")
    return float(np.abs(one / sums[0] - other / sums[1]).sum(axis=1).mean() / 2)


def _common(predictor: RowPredictor, one: str, other: str) -> list[str]:
    heads = [predictor.model.head(name).chooses for name in (one, other)]
    if heads != ["one", "one"]:
        return []
    theirs = labels_of(predictor.tasks[other])
    return [label for label in labels_of(predictor.tasks[one]) if label in theirs]


def _difference(
    predictor: RowPredictor, names: tuple[str, str], pair: tuple[LabelScores, LabelScores]
) -> float:
    common = _common(predictor, *names)
    sides = []
    for name, scores in zip(names, pair, strict=True):
        labels = labels_of(predictor.tasks[name])
        sides.append(scores.probabilities[:, [labels.index(label) for label in common]])
    return disagreement(*sides)


def _ranked(unsure: Scores, apart: Scores, count: int) -> Ranked:
    """Order rows by the highest place that one of their numbers has among those of all rows."""
    places = [_places(values) for values in (*unsure.values(), *apart.values())]
    worth = np.nan_to_num(np.stack(places), nan=-1.0).max(axis=0) if places else -np.ones(count)
    order = np.lexsort((np.arange(count), -worth))
    return Ranked([int(n) for n in order if worth[n] >= 0], worth, unsure, apart)


def _places(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the share of rows whose number is not higher, (n,)."""
    known = np.flatnonzero(~np.isnan(values))
    found = np.full(len(values), np.nan)
    found[known] = np.searchsorted(np.sort(values[known]), values[known], side="right") / max(
        len(known), 1
    )
    return found
