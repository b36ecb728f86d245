"""From a request to rows for a model, and from its answers back to what a client is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl.config.section import Values
from mtl.errors import MtlError, Problem, one_of, printable
from mtl.inference.answers import Shape, joined
from mtl.inference.predictor import RowPredictor
from mtl.inference.questions import TASKS, Beside, rows_of
from mtl.inference.rows import prepare
from mtl.inference.texts import ANSWERS, ARGUMENTS, numbered
from mtl.serving.errors import Refused, refused
from mtl.serving.schemas import PredictRequest
from mtl.serving.settings import Limits
from mtl.tasks import Task
from mtl.tasks.base import asks
from mtl.tasks.results import FAILED
from mtl.types import Row


@dataclass(frozen=True)
class Asked:
    """A request that a model can answer."""

    model: str
    predictor: RowPredictor
    rows: list[Row]
    shape: Shape

    def answer(self, found: Sequence[Values]) -> Values:
        """Return the JSON values of an answer.

        Raises:
            Refused: If a text has none, with the reason.
        """
        for row, answer in zip(self.rows, found, strict=True):
            reasons = [answer[FAILED]] if FAILED in answer else []
            reasons += [own[FAILED] for own in answer.values() if FAILED in own]
            if reasons:
                reason = printable(reasons[0]).rstrip(".")
                raise Refused(422, f"`texts`, number {row['_line']}: {reason}.")
        pairs = zip(self.rows, found, strict=True)
        return {"model": self.model, "results": list(joined(pairs, self.shape, self.tasks))}

    @property
    def tasks(self) -> dict[str, Task]:
        """The model's tasks."""
        return self.predictor.tasks

    def part(self, row: int, task: str, answer: Values) -> Values:
        """Return the JSON values of one task's answer of one row."""
        shown = self.shape.shown(answer, self.rows[row], asks(self.tasks[task]))
        return {**self.place(row, task), "answer": shown}

    def place(self, row: int, task: str) -> Values:
        """Return which text a row is of, and the how manieth answer of its task this is."""
        text, part = divmod(row, self.shape.size)
        before = self.rows[text * self.shape.size : text * self.shape.size + part]
        number = sum(task in other[TASKS] for other in before)
        return {"text": text, "task": task, "number": number}


def understood(
    request: PredictRequest, models: Mapping[str, RowPredictor], limits: Limits
) -> Asked:
    """Return what a request asks for.

    Raises:
        Refused: If no model can answer it, or it asks for too much.
    """
    name = model_name(request.model, models)
    predictor, strings = models[name], request.strings()
    _check(strings, limits)
    try:
        names = predictor.choose(request.tasks, ANSWERS)
        beside = Beside(
            request.questions, request.seconds, request.choices, request.instruction, ARGUMENTS
        )
        parts = beside.parts({task: predictor.tasks[task] for task in names})
        if len(strings["texts"]) * len(parts) > limits.texts:
            expected = f"to be at most {limits.texts}, each with what is asked beside it"
            found = f"got {len(strings['texts'])}, each {len(parts)} times"
            raise Refused(422, str(Problem("texts", expected, found, "Send several requests.")))
        rows = numbered(rows_of(strings["texts"], parts), len(parts))
        ready = [{TASKS: names, **prepare(row, 0)} for row in rows]
    except MtlError as error:
        raise refused(error) from error
    shape = Shape(names, len(parts), "mark", request.all_probabilities)
    return Asked(name, predictor, ready, shape)


def model_name(name: str | None, models: Mapping[str, RowPredictor]) -> str:
    """Return which model a request is for.

    Raises:
        Refused: If there is no such model, or several and none is named.
    """
    if name is None and len(models) == 1:
        return next(iter(models))
    if name is None:
        problem = Problem("model", f"to be one of {{{', '.join(models)}}}", "it is missing")
        raise Refused(422, str(problem))
    if name not in models:
        raise Refused(404, printable(one_of("model", name, models)))
    return name


def is_half(text: str) -> bool:
    """Whether a text has half a character, as JSON may: a surrogate without its other."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check(strings: Mapping[str, Sequence[str]], limits: Limits) -> None:
    for name, texts in strings.items():
        if any(map(is_half, texts)):
            raise Refused(422, str(Problem(name, "to be Unicode text", "got half a character")))
        longest = max(map(len, texts), default=0)
        if longest > limits.characters:
            expected = f"to have at most {limits.characters:,} characters each"
            raise Refused(422, str(Problem(name, expected, f"one has {longest:,}")))
        if len(texts) > limits.texts:
            expected = f"to be at most {limits.texts}"
            raise Refused(422, str(Problem(name, expected, f"got {len(texts)}")))
        if name in ("questions", "seconds", "choices") and not all(map(str.strip, texts)):
            raise Refused(422, str(Problem(name, "to be texts", "one of them is empty")))
