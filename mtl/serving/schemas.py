"""What requests and answers hold, as pydantic checks them and OpenAPI shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from mtl.tasks import Task
from mtl.tasks.results import Result

Texts = Annotated[list[str], Field(min_length=1)]


class Exact(BaseModel):
    """An object without other keys than those that it names."""

    model_config = ConfigDict(extra="forbid")


class PredictRequest(Exact):
    """What to answer; the names are those of ``Predictor.predict`` in Python."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"texts": "Ines Talbot liked the soup."}]}
    )

    texts: str | Texts = Field(description="One text, or several.")
    model: str | None = Field(None, description="Which model; may be left out where there is one.")
    tasks: Texts | None = Field(None, description="The tasks to answer; all when null.")
    questions: list[str] = Field([], description="Each is asked of every text.")
    seconds: list[str] = Field([], description="Second texts, each beside every text.")
    choices: list[str] = Field([], description="What to choose from.")
    instruction: str | None = Field(None, description="For tasks whose prompt has one.")
    all_probabilities: bool = Field(False, description="Of all labels, not of the 5 likeliest.")
    stream: bool = Field(
        False,
        description="Answer as server-sent events: each answer as soon as it is there, texts piece "
        "by piece, at last `done`.",
    )

    def strings(self) -> dict[str, list[str]]:
        """Return everything that is read, by the field that has it."""
        texts = [self.texts] if isinstance(self.texts, str) else self.texts
        instruction = [] if self.instruction is None else [self.instruction]
        return {
            "texts": texts,
            "questions": self.questions,
            "seconds": self.seconds,
            "choices": self.choices,
            "instruction": instruction,
        }


class ErrorDetail(Exact):
    """What is wrong."""

    status: int
    message: str
    """One sentence, or one for each of several mistakes."""


class ErrorAnswer(Exact):
    """The one shape of all errors."""

    error: ErrorDetail


class TaskInfo(Exact):
    """A task of a model."""

    name: str
    type: str
    reads: list[str]
    """What a request must have beside texts: question, second, choices, instruction."""
    labels: list[str]
    """Those that it can give; empty where it gives none."""
    writes: bool
    """Whether it writes a text."""


class ModelInfo(Exact):
    """A model."""

    name: str
    trunk: str
    tasks: list[TaskInfo]


class ModelsAnswer(Exact):
    """The models that are served."""

    models: list[ModelInfo]
    corrections: bool
    """Whether corrections are kept."""


class CorrectionRequest(Exact):
    """What would have been right."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"task": "sentiment", "row": {"text": "It was cold.", "label": "negative"}},
                {
                    "task": "ner",
                    "row": {
                        "text": "Ines left.",
                        "spans": [{"start": 0, "end": 4, "label": "PER"}],
                    },
                },
            ]
        },
    )

    task: str
    row: dict[str, Any] = Field(description="By role: the text, and what is right.")
    model: str | None = Field(None, description="Which model; may be left out where there is one.")


class CorrectionAnswer(Exact):
    """Where a correction is kept."""

    file: str
    """Relative to the folder of corrections."""


class StateAnswer(Exact):
    """Whether the server is well."""

    status: Literal["ok", "ready"]


def predict_answer(models: Mapping[str, Mapping[str, Task]]) -> Any:
    """Return the type of an answer: the model's name, and a result for each text.

    Args:
        models: By name: its tasks by name.
    """
    kinds: Any = None
    for number, (name, tasks) in enumerate(models.items()):
        results = _result(number, tasks)
        fields: dict[str, Any] = {
            "model": (Literal[name], ...),
            "results": (list.__class_getitem__(results), ...),
        }
        one = create_model(f"Answer{number or ''}", __config__=Exact.model_config, **fields)
        kinds = one if kinds is None else kinds | one
    return kinds


def _result(number: int, tasks: Mapping[str, Task]) -> Any:
    """Return the type of what a model says of one text: by task, its answer or its answers."""
    fields: dict[str, Any] = {"text": (str, ...)}
    for place, (name, task) in enumerate(tasks.items()):
        own: type[Result] = task.gives.described()
        kind: Any = own | list[own]  # type: ignore[valid-type]
        fields[f"task_{place}"] = (kind, Field(None, alias=name))
    return create_model(f"TextAnswer{number or ''}", __config__=Exact.model_config, **fields)
