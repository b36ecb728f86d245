"""Sections of a configuration: typed groups of keys, checked by pydantic.

A section is a :class:`pydantic.BaseModel` whose fields are written like a dataclass's::

    class Pooling(Section):
        size: Whole = Field(2, ge=1)
        '''How many neighbours become one.'''
        how: Annotated[Literal["mean", "max"], Lower] = "mean"

Values are never guessed: ``true`` is no number and 2.5 no whole number. Texts that spell a value
are read (environment variables are texts), and numbers where a text is wanted.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mtl.config.names import unknown_key
from mtl.errors import ConfigError, Problem, one_of

__all__ = [
    "Blank",
    "Field",
    "Files",
    "Flag",
    "Lower",
    "Number",
    "Section",
    "Text",
    "Whole",
    "check",
]

MISSING = "???"
"""OmegaConf's mark of a value that has to be given."""
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _flag(given: object) -> object:
    return _FLAGS.get(given.lower(), given) if isinstance(given, str) else _only(given, bool)


def _whole(given: object) -> object:
    return int(given) if isinstance(given, str) else _only(given, int)


def _number(given: object) -> float:
    found = float(given if isinstance(given, str) else str(_only(given, int, float)))
    if not math.isfinite(found):
        raise ValueError(found)
    return found


def _blank(given: object) -> str:
    return str(given).lower() if isinstance(given, bool) else str(_only(given, int, float, str))


def _text(given: object) -> str:
    found = _blank(given)
    if not found.strip():
        raise ValueError(found)
    return found


def _files(given: object) -> object:
    if isinstance(given, Mapping):
        return {str(role): _text(file) for role, file in given.items()}
    return [_text(file) for file in given] if isinstance(given, list) and given else _text(given)


def _only(given: object, *kinds: type) -> object:
    """Return a value of one of some types; a truth value is of no other type than its own."""
    if isinstance(given, kinds) and (bool in kinds or not isinstance(given, bool)):
        return given
    raise ValueError(given)


Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Text = Annotated[str, BeforeValidator(_text)]
Blank = Annotated[str, BeforeValidator(_blank)]
"""A text that may be empty, or white space."""
Files = Annotated[str | list[str] | dict[str, str], BeforeValidator(_files)]
"""A file or glob, several of them, or one for each role."""
Lower = BeforeValidator(lambda given: None if given is None else _blank(given).lower())
"""Makes a choice of names, ``Annotated[Literal[...], Lower]``, blind to capitals."""
_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "a group of keys",
}


class Section(BaseModel):
    """A group of keys. Unknown keys are refused; each field's docstring says what it means."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


S = TypeVar("S", bound=Section)
Values = dict[str, Any]
"""Plain values by key, as YAML and JSON have them."""


def check(
    section: type[S], values: object, where: str = "", known: Sequence[str] = ()
) -> tuple[S, list[Problem]]:
    """Return a section, with defaults in place of what is wrong, and everything that is wrong.

    Args:
        section: A class whose fields all have defaults.
        values: What was composed; a mapping of plain values.
        where: The dotted key of `values`.
        known: All dotted keys of the configuration, in which a misspelt one may have its place.
    """
    if not isinstance(values, Mapping):
        return section(), [Problem(where, "to be a group of keys", f"got {shown(values)}")]
    given: Values = {str(k): _given(v) for k, v in values.items() if not _is_missing(v)}
    problems: list[Problem] = []
    while True:
        try:
            return section.model_validate(given), problems
        except ValidationError as error:
            wrong = error.errors(include_url=False)
            told = {problem.where for problem in problems}
            new = [_problem(section, found, where, known) for found in wrong]
            problems += [problem for problem in new if problem.where not in told]
            if any(found["type"] == "missing" for found in wrong):
                return cast(S, section.model_construct(**given)), problems
            for found in wrong:
                _drop(given, found["loc"])


def _given(values: object) -> object:
    """Return a copy without what is missing, so that its default stands in."""
    if isinstance(values, Mapping):
        return {str(k): _given(v) for k, v in values.items() if not _is_missing(v)}
    return [_given(v) for v in values] if isinstance(values, list | tuple) else values


def _is_missing(value: object) -> bool:
    return isinstance(value, str) and value == MISSING


def _drop(given: Values, loc: tuple[int | str, ...]) -> None:
    """Take a wrong value out of its mapping; the whole list where it is of one."""
    parent, (key, *parts) = given, map(str, loc)
    for part in parts:
        if not isinstance(parent[key], dict) or part not in parent[key]:
            break
        parent, key = parent[key], part
    parent.pop(key, None)


def _problem(
    section: type[Section], found: ErrorDetails, where: str, known: Sequence[str]
) -> Problem:
    """Return pydantic's error as a problem of ours."""
    path = _path(found["loc"])
    key = f"{where}.{path}" if where else path
    if found["type"] == "extra_forbidden":
        node = key.rpartition(".")[0]
        holder = _field(section, found["loc"][:-1])
        names = list(getattr(_plain(holder)[0], "model_fields", {}))
        return unknown_key(key, names, known, node)
    if found["type"] == "missing":
        return Problem(key, "to be given", "it is missing")
    hint, limits = _plain(_field(section, found["loc"]))
    if get_origin(hint) is Literal:
        return one_of(key, _named(found["input"]), get_args(hint))
    return Problem(key, f"to be {_phrase(hint, limits)}", f"got {shown(found['input'])}")


def shown(value: object) -> str:
    """Return a value as a message shows it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"'{value}'"
    return "a group of keys" if isinstance(value, Mapping) else str(value)


def _named(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _path(loc: Sequence[int | str]) -> str:
    """Return a place in a tree of values as a dotted key: ``betas[0]``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _field(section: object, loc: Sequence[int | str]) -> object:
    """Return the annotation at a place: a :class:`FieldInfo` where a section has it."""
    hint = section
    for part in loc:
        plain, _ = _plain(hint)
        fields = getattr(plain, "model_fields", None)
        if fields is not None:
            hint = fields[part]
        elif args := get_args(plain):
            hint = args[-1] if get_origin(plain) is not tuple else args[0]
        else:
            return Any
    return hint


def _plain(hint: object) -> tuple[object, list[object]]:
    """Return an annotation without its limits and its None, and the limits."""
    limits: list[object] = []
    if isinstance(hint, FieldInfo):
        limits = list(hint.metadata)
        hint = hint.annotation
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            for found in more:
                limits += found.metadata if isinstance(found, FieldInfo) else [found]
        elif get_origin(hint) in (Union, types.UnionType):
            hint = next(part for part in get_args(hint) if part is not type(None))
        else:
            return hint, limits


def _phrase(hint: object, limits: Sequence[object]) -> str:
    """Return what a field takes in words, such as ``a number at least 0 and below 1``."""
    bound = {
        name: getattr(limit, name)
        for limit in limits
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if getattr(limit, name, None) is not None
    }
    kind = _WORDS.get(get_origin(hint) or hint, "a group of keys")
    if "min_length" in bound:
        return f"{kind} of {bound['min_length']} values"
    if "ge" in bound and "le" in bound:
        return f"{kind} from {bound['ge']} to {bound['le']}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    parts = [f"{text} {bound[name]}" for name, text in words.items() if name in bound]
    return f"{kind} {' and '.join(parts)}".rstrip()


def read(section: type[S], values: object, where: str = "") -> S:
    """Return a section of plain values.

    Raises:
        ConfigError: With everything that is wrong with them.
    """
    found, problems = check(section, values, where)
    if problems:
        raise ConfigError(*problems)
    return found
