"""From plain values to dataclasses, with every wrong key, type and value reported at once."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from mtl.config.limits import outside, phrase
from mtl.config.nearest import choose, unknown_key
from mtl.config.scalars import KINDS, NotAValue, found, scalar
from mtl.config.section import Section, check

T = TypeVar("T")
NOT_GIVEN = "???"  # OmegaConf's mark of a value that has to be given


class Unresolved(str):
    """An interpolation that could not be resolved, which is reported where it was tried."""


class _Refused(Exception):
    """A value is wrong, and its problem is noted."""


def build(
    cls: type[T], values: Any, where: str = "", known: Sequence[str] = ()
) -> tuple[T, list[str]]:
    """Return an instance of a dataclass and a sentence for each thing that is wrong.

    A wrong value is replaced by its field's default, so that the rest can still be checked.

    Args:
        cls: A dataclass; limits are taken from its fields' metadata (:mod:`mtl.config.limits`).
        values: A mapping from field names to plain values.
        where: The dotted key of `values`.
        known: All dotted keys, where suggestions for a misspelt one are looked for.
    """
    if issubclass(cls, Section):
        section, wrong = check(cls, values, where, known)
        return section, wrong
    builder = _Builder(known)
    try:
        made = builder.node(cls, values, where)
    except _Refused:
        made = builder.node(cls, {}, where)
    return made, builder.problems


class _Builder:
    """Builds nodes and collects problems."""

    def __init__(self, known: Sequence[str]) -> None:
        self.known = list(known)
        self.problems: list[str] = []

    def refuse(self, problem: str) -> _Refused:
        self.problems.append(problem)
        return _Refused()

    def node(self, cls: type[T], values: Any, where: str) -> T:
        """Build a dataclass from a mapping."""
        if not isinstance(values, Mapping):
            raise self.refuse(f"Expected `{where}` to be a group of keys, but got {found(values)}.")
        hints = get_type_hints(cls)
        known = {field.name: field for field in fields(cast(Any, cls)) if field.init}
        made = {}
        for name, field in known.items():
            try:
                made[name] = self.entry(field, hints[name], values, _join(where, name))
            except _Refused:
                made[name] = _default(field)
        for key in values:
            if key not in known:
                self.unknown(_join(where, str(key)), list(known))
        return cls(**made)

    def entry(self, field: Field[Any], hint: Any, values: Mapping[str, Any], where: str) -> Any:
        """Build the value of one field."""
        given = values.get(field.name, NOT_GIVEN)
        if isinstance(given, str) and given == NOT_GIVEN:
            default = _default(field)
            if default is None and field.default is MISSING:
                raise self.refuse(f"Expected `{where}` to be given, but it is missing.")
            return default
        return self.value(hint, given, field.metadata, where)

    def unknown(self, key: str, siblings: list[str]) -> None:
        """Note a key that does not exist."""
        self.problems.append(unknown_key(key, siblings, self.known))

    def value(self, hint: Any, given: Any, limits: Mapping[str, Any], where: str) -> Any:
        """Build one value of an annotated type."""
        if isinstance(given, Unresolved):
            if hint is not str and str not in get_args(hint):
                raise _Refused
            return given
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self.union(get_args(hint), given, limits, where)
        if origin is Literal:
            return self.limit(given, {"choices": get_args(hint)}, where)
        if is_dataclass(hint):
            return self.node(cast(type, hint), given, where)
        if origin in (list, tuple, Sequence):
            return self.items(hint, given, limits, where)
        if origin in (dict, Mapping):
            return self.mapping(get_args(hint)[1], given, limits, where)
        if hint is str and isinstance(given, str) and limits.get("blank"):
            return given
        if hint in KINDS:
            try:
                return self.limit(scalar(hint, given), limits, where)
            except NotAValue:
                expected = _expected(hint, limits)
                raise self.refuse(_wrong(where, expected, given)) from None
        return given

    def union(
        self, hints: tuple[Any, ...], given: Any, limits: Mapping[str, Any], where: str
    ) -> Any:
        """Build a value of one of several types: the one it has, else the first that takes it."""
        if given is None and type(None) in hints:
            return None
        rest = [hint for hint in hints if hint is not type(None)]
        rest.sort(key=lambda hint: type(given) is not (get_origin(hint) or hint))
        for hint in rest[:-1]:
            attempt = _Builder(self.known)
            try:
                made = attempt.value(hint, given, limits, where)
            except _Refused:
                continue
            if not attempt.problems:
                return made
        return self.value(rest[-1], given, limits, where)

    def items(self, hint: Any, given: Any, limits: Mapping[str, Any], where: str) -> Any:
        """Build a list or tuple, each element under the field's limits."""
        length = limits.get("length")
        if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
            raise self.refuse(_wrong(where, "a list", given))
        if length is not None and len(given) != length:
            raise self.refuse(_wrong(where, f"a list of {length} values", list(given)))
        inner = (get_args(hint) or (Any,))[0]
        made = [self.value(inner, v, limits, f"{where}[{i}]") for i, v in enumerate(given)]
        return tuple(made) if get_origin(hint) is tuple else made

    def mapping(self, hint: Any, given: Any, limits: Mapping[str, Any], where: str) -> Any:
        """Build a mapping from names to values of one type."""
        if not isinstance(given, Mapping):
            raise self.refuse(_wrong(where, "a group of keys", given))
        made = {}
        for key, value in given.items():
            try:
                made[str(key)] = self.value(hint, value, limits, _join(where, str(key)))
            except _Refused:
                continue
        return made

    def limit(self, value: Any, limits: Mapping[str, Any], where: str) -> Any:
        """Return a value that keeps its limits."""
        choices = limits.get("choices")
        if choices is not None:
            same = {str(c).lower(): c for c in choices}
            if str(value).lower() not in same:
                raise self.refuse(choose(where, value, choices))
            return same[str(value).lower()]
        if isinstance(value, int | float) and outside(value, limits):
            raise self.refuse(_wrong(where, phrase(limits), value))
        return value


def _wrong(where: str, expected: str, given: Any) -> str:
    return f"Expected `{where}` to be {expected}, but got {found(given)}."


def _expected(hint: Any, limits: Mapping[str, Any]) -> str:
    if choices := limits.get("choices"):
        return f"one of {{{', '.join(sorted(map(str, choices)))}}}"
    bounds = phrase(limits)
    return f"{KINDS[hint]} {bounds}" if bounds else KINDS[hint]


def _join(node: str, name: str) -> str:
    return f"{node}.{name}" if node else name


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None
