"""Typed answers: what a task says of a text, as frozen dataclasses.

Each task type has a class of its own, with a field for each part of what its `present` returns::

    {"entities": [{"text": "Ines", "label": "PER", "start": 0, "end": 4, "score": 0.97}]}
    Entities(entities=(Entity(text='Ines', label='PER', start=0, end=4, score=0.97),))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter

from mtl.config.section import Values

R = TypeVar("R", bound="Result")
FAILED = "error"
"""Key of an answer that says why there is none."""
EXACT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one task says of one text; a field that has its default is left out of the JSON."""

    __pydantic_config__ = EXACT

    question: str | None = None
    """What was asked, where the task reads a question."""
    second: str | None = None
    """The second text, where the task reads one."""
    instruction: str | None = None
    """The instruction, where the task's prompt has one."""
    choices: list[str] | dict[str, str] | None = None
    """What there was to choose from."""

    @classmethod
    def read(cls: type[R], values: Values) -> R:
        """Return a result from JSON values.

        Raises:
            ValueError: If they are not those of this class.
        """
        kind: Any = cls
        found: R = _adapter(kind).validate_python(values)
        return found

    @classmethod
    def described(cls) -> Any:
        """Return the type whose schema JSON has."""
        return cls

    def to_dict(self) -> Values:
        """Return JSON values, as ``mtl predict`` prints them."""
        found: Values = as_json(self)
        return found


@dataclass(frozen=True, kw_only=True)
class Prediction(Result):
    """An answer of a task type that has no class of its own."""

    values: Mapping[str, Any]
    """As the type's `present` returns them."""

    @classmethod
    def read(cls, values: Values) -> Prediction:
        """Return a result that holds JSON values."""
        return cls(values=values)

    @classmethod
    def described(cls) -> Any:
        """Return the type whose schema JSON has: any object."""
        return dict[str, Any]

    def to_dict(self) -> Values:
        """Return the values."""
        return dict(self.values)


@dataclass(frozen=True, kw_only=True)
class Failed(Result):
    """Why a task has no answer."""

    error: str


@dataclass(frozen=True)
class Entity:
    """A labeled part of a text; characters are counted from 0 in the text as it stands."""

    __pydantic_config__ = EXACT

    text: str
    label: str
    start: int
    end: int
    """One past its last character."""
    score: float
    """The probability of its label, a mean over its words."""


@dataclass(frozen=True, kw_only=True)
class Entities(Result):
    """The labeled parts of a text, in the order of their starts."""

    entities: tuple[Entity, ...]


@dataclass(frozen=True, kw_only=True)
class Label(Result):
    """The one label of a text, and what probability every label has."""

    label: str | None
    """None where the likeliest is less probable than `options.abstain_below`."""
    probabilities: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Labels(Result):
    """The labels of a text, and what probability every label has."""

    labels: list[str]
    probabilities: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Value(Result):
    """The number of a text."""

    value: float


def as_json(value: Any) -> Any:
    """Return plain JSON values of dataclasses; fields that have their defaults are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        own = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: as_json(item) for field, item in own if not _usual(field, item)}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    return value


def _usual(field: Field[Any], value: object) -> bool:
    return field.default is not MISSING and value == field.default


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
