"""A trained model in Python: texts in, typed results out.

>>> import mtl
>>> predictor = mtl.load("outputs/run")                                     # doctest: +SKIP
>>> predictor.predict("Ines Talbot liked the soup.")["ner"].entities        # doctest: +SKIP
(Entity(text='Ines Talbot', label='PER', start=0, end=11, score=0.97),)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from mtl.config.section import Values
from mtl.errors import ConfigError, DataError, Problem
from mtl.inference.answers import (
    Output,
    Shape,
    answers,
    check_policy,
    left_out,
    read_file,
)
from mtl.inference.inputs import File
from mtl.inference.predictor import RowPredictor
from mtl.inference.questions import Beside, rows_of
from mtl.inference.writing import check_not_input, check_place
from mtl.tasks import Task
from mtl.tasks.results import FAILED, Failed, Result
from mtl.types import Row

ARGUMENTS = {
    "text": "texts",
    "question": "questions",
    "second": "seconds",
    "choices": "choices",
    "instruction": "instruction",
}
"""By role: the argument that gives it, in Python and in requests to a server."""
ANSWERS = "tasks"
Answered = Result | tuple[Result, ...]


@dataclass(frozen=True)
class TextResult:
    """What a model says of one text.

    Args:
        text: The text.
        answers: By task its answer; a tuple where it was asked several questions.
        id: The row's own, where a file has one.
        error: Why there is no answer, where rows that cannot be answered are marked.
    """

    text: str | None
    answers: Mapping[str, Answered] = field(default_factory=dict)
    id: Any = None
    error: str | None = None

    def __getitem__(self, task: str) -> Any:
        """Return the answer of one task.

        Raises:
            KeyError: If it did not answer.
        """
        return self.answers[task]

    def to_dict(self) -> Values:
        """Return JSON values, as ``mtl predict`` prints them."""
        key = {} if self.id is None else {"id": self.id}
        wrong = {} if self.error is None else {FAILED: self.error}
        own = {name: _plain(answer) for name, answer in self.answers.items()}
        return {**key, "text": self.text, **own, **wrong}


@dataclass(frozen=True)
class FileReport:
    """What became of a file."""

    output: Path
    rows: int
    failed: int
    """Answers that are an ``error``."""
    notes: tuple[str, ...]
    """What the user should know, a sentence each."""


class Predictor:
    """A trained model: all its heads on texts, in one pass of its trunk.

    Args:
        rows: The model on its device.
    """

    def __init__(self, rows: RowPredictor) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"Predictor(tasks={list(self.tasks)}, device='{self.rows.device}')"

    @property
    def tasks(self) -> dict[str, Task]:
        """The model's tasks by name."""
        return self.rows.tasks

    @overload
    def predict(
        self,
        texts: str,
        tasks: Sequence[str] | None = ...,
        questions: Sequence[str] | None = ...,
        **more: Any,
    ) -> TextResult: ...

    @overload
    def predict(
        self,
        texts: Iterable[str],
        tasks: Sequence[str] | None = ...,
        questions: Sequence[str] | None = ...,
        **more: Any,
    ) -> list[TextResult]: ...

    def predict(
        self,
        texts: str | Iterable[str],
        tasks: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
        **more: Any,
    ) -> TextResult | list[TextResult]:
        """Answer one text, or several.

        Args:
            texts: One text, or any number of them.
            tasks: The tasks to answer; all when None.
            questions: Each is asked of every text.
            **more: As :meth:`predict_iter` has it.

        Returns:
            The result of the one text, or a list with one for each, in their order.

        Raises:
            ConfigError: If the model has no such task, or questions and tasks do not go together.
            DataError: If a text is empty, or `texts` is no text and has none.
        """
        if isinstance(texts, str):
            return next(self.predict_iter([texts], tasks, questions, **more))
        return list(self.predict_iter(texts, tasks, questions, **more))

    def predict_iter(
        self,
        texts: Iterable[str],
        tasks: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
        *,
        seconds: Sequence[str] | None = None,
        choices: Sequence[str] | None = None,
        instruction: str | None = None,
        on_bad_row: str = "error",
        all_probabilities: bool = False,
    ) -> Iterator[TextResult]:
        """Answer texts as they come, some thousand at a time, in constant memory.

        Args:
            texts: Any number of them.
            tasks: The tasks to answer; all when None.
            questions: Each is asked of every text.
            seconds: Second texts, each beside every text, for tasks that read two.
            choices: What to choose from, for tasks that choose.
            instruction: For tasks whose prompt has one.
            on_bad_row: What becomes of a text that cannot be answered: ``error`` raises, ``mark``
                says why in its result, ``skip`` leaves it out.
            all_probabilities: Of all labels, not of the 5 likeliest.

        Returns:
            A result for each text, in their order.

        Raises:
            ConfigError: If the model has no such task, or questions and tasks do not go together.
            DataError: If a text is empty, or `texts` is none, or one alone.
        """
        _check_texts(texts)
        names = self.rows.choose(_names(tasks), ANSWERS)
        check_policy(on_bad_row, "on_bad_row")
        beside = Beside(
            _several(questions, "questions"),
            _several(seconds, "seconds"),
            _several(choices, "choices"),
            instruction,
            ARGUMENTS,
        )
        parts = beside.parts({name: self.tasks[name] for name in names})
        shape = Shape(names, len(parts), on_bad_row, all_probabilities)
        return self._results(numbered(rows_of(texts, parts), len(parts)), shape)

    def _results(self, rows: Iterable[Row], shape: Shape) -> Iterator[TextResult]:
        kinds = {name: self.tasks[name].gives for name in shape.names}
        for answer in answers(self.rows, rows, shape):
            own = {name: typed(kinds[name], answer[name]) for name in kinds if name in answer}
            yield TextResult(answer["text"], own, answer.get("id"), answer.get(FAILED))

    def predict_file(
        self,
        input: str | Path,
        output: str | Path,
        tasks: Sequence[str] | None = None,
        *,
        format: str | None = None,
        output_format: str | None = None,
        overwrite: bool = False,
        on_bad_row: str = "mark",
        all_probabilities: bool = False,
    ) -> FileReport:
        """Answer a file as ``mtl predict RUN --input FILE --output FILE`` does.

        Args:
            input: A text a line (.txt), or .jsonl, .csv, .tsv with a column ``text`` or the run's
                own columns, or an annotation tool's file. Questions stand in a column.
            output: Where the answers go.
            tasks: The tasks to answer; all when None.
            format: Of the input; by its ending when None.
            output_format: By the output's ending when None.
            overwrite: Whether an output that is there is replaced.
            on_bad_row: ``mark``, ``skip`` or ``error``.
            all_probabilities: Of all labels, not of the 5 likeliest.

        Raises:
            MtlError: If a file cannot be read or written, or does not fit the tasks.
        """
        names = self.rows.choose(_names(tasks), ANSWERS)
        check_policy(on_bad_row, "on_bad_row")
        out = Output(Path(output), output_format)
        check_not_input(out.path, str(input), "output", "input")
        check_place(out.path, out.kind, overwrite=overwrite)
        out.check({name: self.tasks[name] for name in names})
        file = File(str(input), "input", format, on_bad_row=on_bad_row)
        rows = read_file(self.rows, names, file)
        self.rows.left_out.clear()
        self.rows.failed = 0
        shape = Shape(names, 1, on_bad_row, all_probabilities)
        out.write(answers(self.rows, rows, shape), self.rows, names)
        notes = (*file.notes, *out.notes, *left_out(self.rows))
        return FileReport(out.path, len(rows), self.rows.failed, notes)


def typed(kind: type[Result], answer: Values | list[Values]) -> Answered:
    """Return a task's answer, or its answers, as a result of its class."""
    if isinstance(answer, list):
        return tuple(_one(kind, one) for one in answer)
    return _one(kind, answer)


def _one(kind: type[Result], answer: Values) -> Result:
    return (Failed if FAILED in answer else kind).read(answer)


def _plain(answer: Answered) -> Any:
    if isinstance(answer, tuple):
        return [one.to_dict() for one in answer]
    return answer.to_dict()


def numbered(rows: Iterable[Row], size: int) -> Iterator[Row]:
    """Give rows the number of their text, counted from 1, for messages."""
    for number, row in enumerate(rows):
        yield {**row, "_line": number // size + 1}


def _check_texts(texts: object) -> None:
    """Refuse what is no number of texts.

    Raises:
        DataError: If it is not, such as a text alone, whose characters would be texts.
    """
    if isinstance(texts, str):
        expected, advice = "to be any number of texts", "Put it into a list: texts=[…]."
        raise DataError(Problem("texts", expected, f"got {texts[:40]!r}", advice))
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | Mapping):
        found = f"got {repr(texts)[:40]}"
        raise DataError(Problem("texts", "to be a text, or any number of them", found))


def _several(given: Sequence[str] | None, name: str) -> Sequence[str]:
    """Return texts, none for None.

    Raises:
        ConfigError: If it is one text, not a list of them.
    """
    if isinstance(given, str):
        advice = f"Put it into a list: {name}=[…]."
        raise ConfigError(Problem(name, "to be a list of texts", f"got {given[:40]!r}", advice))
    return given or ()


def _names(tasks: Sequence[str] | None) -> Sequence[str] | None:
    """Return the names of tasks; one alone may be given as it is."""
    return [tasks] if isinstance(tasks, str) else tasks
