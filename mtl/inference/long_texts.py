"""Rows with a text of any length: answered passage by passage, in memory that does not follow it.

What is kept of a text is itself and the answers so far: entities, sums of logits, the best spans.
All rows of one text, such as its questions, and all their tasks share the passes of each passage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtl.config.section import Values
from mtl.data.rows import where
from mtl.data.store import build_store
from mtl.errors import DataError
from mtl.inference.meter import Advance
from mtl.tasks._passages import Join
from mtl.tasks.base import document
from mtl.trunk import passages
from mtl.trunk.passages import LongText, Passage, PassageEncoder
from mtl.types import Encoded, Examples, Row

if TYPE_CHECKING:
    from mtl.inference.predictor import RowPredictor

LEAST = 4
"""Passages of a text that is answered so; a shorter one is answered at once, with others."""

Written = Callable[[int, str, str], None]
"""Takes the number of a row, a task, and what is new of the text that it writes."""


@dataclass
class Asked:
    """A row that a task answers, by its number among the rows of a chunk."""

    number: int
    task: str
    join: Join
    failed: str | None = None
    """Why it cannot be answered."""


@dataclass
class Read:
    """What is read of a passage for one task."""

    asked: list[Asked] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    examples: list[Encoded] = field(default_factory=list)


def long_text() -> int:
    """Return the characters of a text beyond which it is answered so."""
    return LEAST * passages.SIZE


def answer_passages(
    predictor: RowPredictor,
    asked: Sequence[Asked],
    advance: Advance,
    pieces: Written | None = None,
) -> Iterator[tuple[Asked, Values]]:
    """Answer rows with long texts.

    Args:
        predictor: The model.
        asked: Those of one text one after another.
        advance: Called with how much more of a row has been read, for a progress bar.
        pieces: Told of texts as they are written.
    """
    for _, group in groupby(asked, key=lambda one: document(one.join.row)):
        of_text = list(group)
        _answer_text(predictor, of_text, advance, pieces)
        for one in of_text:
            if one.failed is None:
                yield one, one.join.answer()


def _answer_text(
    predictor: RowPredictor,
    asked: Sequence[Asked],
    advance: Advance,
    pieces: Written | None,
) -> None:
    """Let rows of one text be answered as far as that can be done."""
    text = document(asked[0].join.row)
    source = LongText(text, predictor.loaded.encoder)
    rows = len({one.number for one in asked})
    first = 0
    if not len(source):
        for one in asked:
            one.failed = f"{where(one.join.row)}: Expected text, but the tokenizer finds none."
        return
    for end in source.ends():
        going = [one for one in asked if one.failed is None]
        reach = max((one.join.reach(end) for one in going), default=end)
        passage = source.passage(first, end, reach)
        _answer_passage(predictor, going, passage, pieces)
        advance(rows * (end - first) / len(text))
        first = end


def _answer_passage(
    predictor: RowPredictor,
    asked: Sequence[Asked],
    passage: Passage,
    pieces: Written | None,
) -> None:
    windows: dict[int, int] = dict(passage.source.done)
    read: dict[str, Read] = {}
    for one in asked:
        found = _encoded(predictor, one, passage, windows)
        if found is not None:
            own = read.setdefault(one.task, Read())
            own.asked.append(one)
            own.rows.append(found[0])
            own.examples.append(found[1])
    passage.source.done = windows
    attention = {name: predictor.loaded.attention(name) == "bidirectional" for name in read}
    stores = [
        build_store(name, own.rows, own.examples, bidirectional=attention[name])
        for name, own in read.items()
    ]

    def written(name: str, number: int, piece: str) -> None:
        if pieces is not None:
            pieces(read[name].asked[number].number, name, piece)

    told = None if pieces is None else written
    for answered in predictor.outputs(stores, predictor.at_once, decode=_logits, pieces=told):
        own = read[answered.task]
        for number, output in zip(answered.numbers, answered.outputs, strict=True):
            own.asked[number].join.add(output, own.examples[number])


def _logits(name: str, logits: Tensor, examples: Examples) -> list[Tensor]:
    """Return each example's own logits; see :meth:`mtl.tasks.base.Task.decode`."""
    del name
    return list(torch.split(logits.detach().float(), examples.sizes))


def _encoded(
    predictor: RowPredictor, one: Asked, passage: Passage, windows: dict[int, int]
) -> tuple[Row, Encoded] | None:
    """Return what a task reads of a passage for a row; a row that it cannot read has failed."""
    part = one.join.part(passage)
    if part is None:
        return None
    task = predictor.tasks[one.task]
    encoder = PassageEncoder(passage, windows)
    tokens = passage.tokens.moved(-part.shift)
    try:
        example = task.encode(part.row, tokens, encoder, predictor.loaded.attention(one.task))
    except DataError as error:
        one.failed = str(error)
        return None
    return part.row, one.join.read(example, encoder.repeated)
