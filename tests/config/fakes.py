"""Task types without torch, for checks of configurations."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

from mtl.config.section import Number, Section, Whole
from mtl.registry import Registry

TASK_TYPES: Registry[Any] = Registry("type")


@dataclass(frozen=True)
class Role:
    name: str
    type: str = "label"


class HeadOptions(Section):
    name: str | None = None
    dropout: Number = 0.1
    decoding: str = "plain"
    subword: str = "auto"
    pooling: str = "auto"


class Options(Section):
    label_smoothing: Number = 0.0


@TASK_TYPES.register("token_classification")
class Tokens:
    Options: ClassVar[Any] = Options
    HeadOptions: ClassVar[Any] = HeadOptions
    metric_names: ClassVar[tuple[str, ...]] = ("f1", "accuracy")
    traits: ClassVar[Any] = SimpleNamespace(lower_is_better=frozenset())

    @classmethod
    def roles(cls) -> list[Role]:
        return [Role("text"), Role("tokens"), Role("labels")]


@TASK_TYPES.register("text_classification")
class Text(Tokens):
    metric_names = ("accuracy", "macro_f1")

    @classmethod
    def roles(cls) -> list[Role]:
        return [Role("text"), Role("label")]


class SpanOptions(Section):
    layout: str = "auto"
    max_answer_tokens: Whole = 30


@TASK_TYPES.register("span_extraction")
class Spans(Tokens):
    Options = SpanOptions
    metric_names = ("f1", "em")

    @classmethod
    def roles(cls) -> list[Role]:
        return [Role("text"), Role("question"), Role("answers"), Role("start")]
