"""A few made-up rows, and what the model itself says of them: what an export is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl.config.section import Values
from mtl.inference.predictor import RowPredictor
from mtl.inference.rows import prepare
from mtl.layout import Unit, build_rows
from mtl.tasks import Task
from mtl.training.model_io import LoadedModel
from mtl.trunk import Trunk
from mtl.trunk.text import pad_id
from mtl.types import Encoded, Examples, IntArray, Row

TEXTS = (
    "Ines Talbot left Brackwater before the rain.",
    "No.",
    "The council will vote on Thursday; two members won't attend, said Okonkwo & Sons.",
    "It was lovely 😀 naïve",
)
BESIDE = "Who left?"
CHOICES = (BESIDE, "Nobody, I think.")
TARGETS: Values = {"target": ["Ines left."]}


@dataclass
class Sample:
    """A row, its tokens, and its logits."""

    row: Row
    example: Encoded
    logits: Tensor
    """(G, C)."""

    @property
    def ids(self) -> IntArray:
        """The tokens of its document."""
        return self.example.documents[0]


@dataclass
class Line:
    """What is read at once: a document, with one branch behind it where it has some."""

    ids: IntArray
    """(T,)."""
    beside: IntArray
    """(T,) 1 for the tokens of the branch, else 0."""
    places: IntArray
    """Of the tokens whose states are read."""
    logits: Tensor
    """(G, C) of what is read here."""


def lines(one: Sample) -> list[Line]:
    """Return a row's documents, or its branches, each behind its document."""
    example, count = one.example, len(one.example.documents)
    parts = [(part, part) for part in range(count)]
    if example.branches:
        parts = [(b.document, count + number) for number, b in enumerate(example.branches)]
    found = []
    for document, part in parts:
        first = example.documents[document]
        rest = example.branches[part - count].ids if part >= count else first[:0]
        inside = (example.part == document) | (example.part == part)
        shift = np.where(example.part[inside] == document, 0, len(first))
        groups = None if example.group is None else np.unique(example.group[inside])
        found.append(
            Line(
                np.concatenate([first, rest]),
                np.repeat(np.asarray([0, 1], dtype=np.int32), [len(first), len(rest)]),
                example.offset[inside] + shift,
                one.logits if groups is None else one.logits[torch.from_numpy(groups).long()],
            )
        )
    return found


def samples(loaded: LoadedModel, task: Task) -> list[Sample]:
    """Return made-up rows with the logits that a task's head has for them, in passes of one row.

    Those that are more than one window for the trunk are left out.
    """
    predictor = RowPredictor(loaded, "cpu", pack=False)
    found = []
    for text in TEXTS:
        row = prepare(_row(task, text), 1)
        kept, store = predictor.encode(task, [row], {})
        if not kept or store.select([0]).encoded[0].windows != 1:
            continue

        def keep(name: str, logits: Tensor, examples: Examples) -> list[Tensor]:
            del name
            return list(logits.detach().cpu().split(examples.sizes))

        (answered,) = predictor.outputs([store], decode=keep)
        found.append(Sample(row, answered.examples.encoded[0], answered.outputs[0]))
    return found


def _row(task: Task, text: str) -> Row:
    row: Row = {"text": text}
    for role in task.roles(task.options):
        if role.name == "tokens":
            row["tokens"] = text.split()
        elif role.name == "choices":
            row["choices"] = list(CHOICES)
        elif role.name not in ("text", "spans") and not role.target:
            row[role.name] = BESIDE
    return row


def states_of(trunk: Trunk, ids: IntArray) -> Tensor:
    """Return the (n, D) states of n tokens that are read as one document."""
    bidirectional = trunk.attention == "bidirectional"
    layout = build_rows([[Unit(ids)]], pad_id(trunk.tokenizer), bidirectional=bidirectional)
    with torch.inference_mode():
        found: Tensor = trunk(layout.batch)
    return found
