"""What a model says of texts, as it is printed: one object a text, the answers of its rows joined.

{"text": "Ines left.", "ner": {"entities": [{"text": "Ines", "label": "PER", …}]},
"qa": {"question": "Who left?", "answer": "Ines", …}}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl.config.section import Values
from mtl.errors import ConfigError, one_of
from mtl.inference.inputs import File, read_inputs
from mtl.inference.meter import Advance
from mtl.inference.predictor import RowPredictor
from mtl.inference.questions import merged
from mtl.inference.rows import prepare
from mtl.inference.writing import likeliest, of_ending, spans_task, write_answers
from mtl.tasks import Task
from mtl.tasks.base import asks, remarks
from mtl.tasks.results import FAILED
from mtl.types import Row

POLICIES = ("mark", "skip", "error")
OWN = ("csv", "jsonl")
"""Formats that hold the answers of any task."""


@dataclass(frozen=True)
class Shape:
    """What is said of rows.

    Args:
        names: The tasks that answer, in the order of the answers.
        size: Rows of one text.
        on_bad_row: What becomes of rows that cannot be answered: ``mark`` (they have an
            ``error``), ``skip`` or ``error``.
        all_probabilities: Whether of all labels, not of the likeliest few.
    """

    names: Sequence[str]
    size: int = 1
    on_bad_row: str = "error"
    all_probabilities: bool = False

    @property
    def mark(self) -> bool:
        """Whether a row that cannot be answered says so in its answer."""
        return self.on_bad_row != "error"

    def shown(self, answer: Values, row: Row, reads: Sequence[str]) -> Values:
        """Return a task's answer with what it was asked."""
        short = answer if self.all_probabilities else likeliest(answer)
        return {**{role: row[role] for role in reads if role in row}, **short}


def check_policy(name: str, where: str) -> None:
    """Raise a ConfigError if there is no such thing to do with bad rows."""
    if name not in POLICIES:
        raise ConfigError(one_of(where, name, POLICIES))


def answers(
    predictor: RowPredictor, rows: Iterable[Row], shape: Shape, advance: Advance | None = None
) -> Iterator[Values]:
    """Yield one object for the rows of each text, in their order.

    Args:
        predictor: The model.
        rows: Those of a text one after another; no more are taken than are answered together.
        shape: What is said of them.
        advance: Called with how many more rows are answered.
    """
    waiting: deque[Row] = deque()

    def noted() -> Iterator[Row]:
        for row in rows:
            waiting.append(row)
            yield row

    found = predictor.predict(noted(), shape.names, advance, mark=shape.mark)
    pairs = ((waiting.popleft(), answer) for answer in found)
    return joined(pairs, shape, predictor.tasks)


def joined(
    pairs: Iterable[tuple[Row, Values]], shape: Shape, tasks: Mapping[str, Task]
) -> Iterator[Values]:
    """Yield one object for the rows of each text.

    Args:
        pairs: Rows with what was predicted of them.
        shape: What is said of them.
        tasks: The model's.
    """
    reads = {name: asks(tasks[name]) for name in shape.names}
    begun: list[tuple[Row, str | None]] = []
    """The rows of the text that is being joined, each with why it has no answer."""

    def answered() -> Iterator[Values]:
        for row, answer in pairs:
            begun.append((row, answer.pop(FAILED, None)))
            yield {name: shape.shown(own, row, reads[name]) for name, own in answer.items()}

    for number, answer in enumerate(merged(answered(), shape.size, shape.names), start=1):
        row, reason = begun[0]
        begun.clear()
        if reason is not None and shape.on_bad_row == "skip":
            continue
        key = {"id": row["key"]} if "key" in row else {}
        wrong = {} if reason is None else {FAILED: reason}
        yield {**key, "text": prepare(row, number, mark=shape.mark).get("text"), **answer, **wrong}


def read_file(predictor: RowPredictor, names: Sequence[str], file: File) -> Sequence[Row]:
    """Read a file's rows as a model's tasks read them; what is to be known stands in its notes.

    Raises:
        MtlError: If it cannot be read.
    """
    about = {name: predictor.loaded.description.tasks[name] for name in names}
    columns = {name: about[name].columns for name in names}
    tasks = [predictor.tasks[name] for name in names]
    return read_inputs(file, tasks, columns, {name: about[name].files for name in names})


@dataclass
class Output:
    """A file of answers.

    Args:
        path: Where it is to be.
        format: As ``--output-format``; by the ending when None.
    """

    path: Path
    format: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Its format."""
        return of_ending(self.path, self.format)

    def check(self, tasks: Mapping[str, Task]) -> None:
        """Refuse a format that cannot hold what the tasks answer.

        Raises:
            ConfigError: If it is an annotation tool's, and not exactly one task marks spans.
        """
        if self.kind not in OWN:
            spans_task(tasks, self.kind)

    def write(self, found: Iterable[Values], predictor: RowPredictor, names: Sequence[str]) -> None:
        """Write answers, whole or not at all; rows without a place in the file are noted."""
        tasks = {name: predictor.tasks[name] for name in names}
        missing = write_answers(self.path, self.kind, found, tasks)
        if missing:
            rows = "1 row without an answer is"
            if missing > 1:
                rows = f"{missing:,} rows without an answer are"
            self.notes.append(
                f"{rows} not in '{self.path}': {self.kind} has no place for an `error`."
            )


def left_out(predictor: RowPredictor) -> list[str]:
    """Return which tasks did not answer which rows, and what of the rows was not read."""
    found = []
    for (task, role), count in predictor.left_out.items():
        rows = "1 text has" if count == 1 else f"{count:,} texts have"
        found.append(f"{task}: {rows} no `{role}`, which it reads, and no answer; see `--{role}`.")
    if predictor.failed:
        said = "1 answer is" if predictor.failed == 1 else f"{predictor.failed:,} answers are"
        found.append(f"{said} an `error`, which says why.")
    return [*found, *(line for task in predictor.tasks.values() for line in remarks(task))]
