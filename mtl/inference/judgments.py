"""The labelled rows of one task, and what models say of their labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np

from mtl.config.section import Values
from mtl.data.holdout import Keys
from mtl.data.rows import where
from mtl.inference.candidates import FORMS, Candidates, form_of
from mtl.inference.confident import Floats, Ints, doubtful
from mtl.inference.label_scores import LabelScores, labels_of
from mtl.inspection.corpus import show_target
from mtl.shipped import program
from mtl.tasks import Task
from mtl.tasks.base import document
from mtl.types import Row


@dataclass(frozen=True)
class Doubt:
    """A row of one task, and how much its label is doubted."""

    row: Row
    answer: Values
    """What the model says, as ``mtl predict`` shows it."""
    parts: list[Values]
    """What is doubted: ``given`` and ``suggested`` labels, and of words their ``text``; of labels
    of which any number holds, and of spans, whether each is there."""
    doubt: float
    """One less the probability of the label that was given; of several words, the highest."""
    held_out: bool
    """Whether the model was not trained on its text."""

    @property
    def given(self) -> str:
        """The labels that the row has."""
        if "spans" in self.row:
            spans = [(span["start"], span["end"], span["label"]) for span in self.row["spans"]]
            words = self.row["tokens"]
            return ", ".join(f"{' '.join(words[s:e])} ({label})" for s, e, label in spans)
        answers = [answer["text"] for answer in self.row.get("answers", [])]
        return show_target(self.row.get("labels", self.row.get("label", answers)))

    def as_dict(self, task: str) -> Values:
        """Return it as an answer of ``mtl predict`` with what is doubted beside it."""
        return {
            "id": self.row["_id"],
            "text": document(self.row),
            **{role: self.row[role] for role in ("question",) if role in self.row},
            task: self.answer,
            "given": self.given,
            "doubted": self.parts,
            "doubt": round(self.doubt, 4),
            "held_out": self.held_out,
            "place": where(self.row),
        }


@dataclass
class _Judged:
    """What a model says of one row."""

    probabilities: Floats
    targets: Ints
    present: Callable[[], Values]
    words: Ints | None
    """Which words of the row its places are; None where it has one place."""
    held_out: bool
    candidates: Candidates | None = None
    """Those that the row has of its own."""


@dataclass
class Labelled:
    """The labelled rows of one task."""

    rows: list[Row]
    keys: Keys
    """(n,) hashes of their texts."""
    labels: list[str]
    chooses: Literal["one", "any", "candidates"]
    judged: dict[int, _Judged] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    """Rows that a model cannot judge, with the reason."""

    def open_to(self, learned: Keys) -> list[int]:
        """Return the rows that no model has judged yet, and whose text is not among some."""
        fresh = np.flatnonzero(~np.isin(self.keys, learned)).tolist()
        return [n for n in fresh if n not in self.judged]

    def judge(self, number: int, found: LabelScores, task: Task, *, held_out: bool) -> None:
        """Take what a model says of a row, whose labels may be in another order there."""
        row = self.rows[number]
        present = partial(task.present, found.answer, row)
        self.failed.pop(number, None)
        if self.chooses == "candidates":
            form = form_of(task)
            assert form is not None
            own_ones = FORMS.get(form)(task, row, found)
            likely, given = own_ones.likely, own_ones.given
            self.judged[number] = _Judged(likely, given, present, None, held_out, own_ones)
            return
        own = labels_of(task)
        order = np.asarray([self.labels.index(name) if name in self.labels else -1 for name in own])
        likely = np.zeros((len(found.probabilities), len(self.labels)), dtype=np.float32)
        likely[:, order[order >= 0]] = found.probabilities[:, order >= 0]
        targets = found.example.targets["labels"]
        if self.chooses == "one":
            targets = order[targets]
        else:
            given = np.zeros(likely.shape, dtype=np.int64)
            given[:, order[order >= 0]] = targets[:, order >= 0]
            targets = given
        self.judged[number] = _Judged(
            likely,
            targets,
            present,
            found.example.extra.get("words"),
            held_out,
        )

    def doubts(self) -> list[Doubt]:
        """Return the rows whose label is doubted, the most doubtful first."""
        found: list[Doubt] = []
        for held_out in (True, False):  # Probabilities of rows that were learned are other ones.
            numbers = [
                n for n, one in self.judged.items() if one.held_out == held_out and len(one.targets)
            ]
            judged = [self.judged[n] for n in numbers]
            places: dict[int, list[int]] = defaultdict(list)
            targets, likely = [j.targets for j in judged], [j.probabilities for j in judged]
            several = any(j.candidates is not None and j.candidates.places for j in judged)
            chooses = "several" if several else self.chooses
            for example, place in doubtful(targets, likely, chooses) if judged else ():
                places[example].append(place)
            found += [self._doubt(numbers[at], own) for at, own in places.items()]
        return sorted(found, key=lambda doubt: -doubt.doubt)

    def _doubt(self, number: int, places: Sequence[int]) -> Doubt:
        row, judged = self.rows[number], self.judged[number]
        parts, doubts = [], []
        for at in sorted(places):
            part, doubt = self._part(row, judged, at)
            parts.append(part)
            doubts.append(doubt)
        return Doubt(row, judged.present(), parts, max(doubts), judged.held_out)

    def _part(self, row: Row, judged: _Judged, at: int) -> tuple[Values, float]:
        if self.chooses == "any":
            holds, chance = bool(judged.targets[0, at]), float(judged.probabilities[0, at])
            part = {"label": self.labels[at], "given": holds, "suggested": not holds}
            return part, 1 - chance if holds else chance
        if judged.candidates is not None and judged.candidates.places is not None:
            holds, chance = bool(judged.targets[at]), float(judged.probabilities[at])
            part = {**judged.candidates.places[at], "given": holds, "suggested": not holds}
            return part, 1 - chance if holds else chance
        if judged.candidates is not None:
            labels, given, likely = judged.candidates.names, at, judged.probabilities
        else:
            labels, given, likely = self.labels, int(judged.targets[at]), judged.probabilities[at]
        best = int(likely.argmax())
        word = {} if judged.words is None else {"text": row["tokens"][int(judged.words[at])]}
        part = {**word, "given": labels[given], "suggested": labels[best]}
        return part, 1 - float(likely[given])

    def said(self, name: str, runs: int) -> list[str]:
        """Return what is to be known of the judgments, a sentence each."""
        lines = []
        learned = sum(not one.held_out for one in self.judged.values())
        if learned:
            which = "the model was" if runs == 1 else f"all {runs} models were"
            lines.append(
                f"{name}: {learned:,} of {len(self.rows):,} rows have a text that {which} trained "
                f"on, and little is doubted that was learned; train on folds "
                f"({program()} -m tasks.{name}.data.fold=1/5,2/5,3/5,4/5,5/5 ...) and name the "
                "sweep's folder to have each row judged by a model that does not know it."
            )
        if self.failed:
            first = next(iter(self.failed.values()))
            count = len(self.failed)
            lines.append(f"{name}: {count:,} rows cannot be judged, the first because: {first}")
        return lines
