"""Plain values read as the scalar type that a field wants."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

# Types of fields and how a message names them.
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class NotAValue(Exception):
    """A value cannot be read as the wanted type."""


def scalar(kind: Any, given: Any) -> Any:
    """Return a plain value as `kind`, one of :data:`KINDS`.

    Texts that spell the value are accepted (environment variables are texts), and numbers where a
    text is wanted.

    Raises:
        NotAValue: If the value is of another type.
    """
    if isinstance(given, list | tuple | dict) or given is None:
        raise NotAValue
    return _READERS[kind](given)


def found(value: Any) -> str:
    """Return a value as a message shows it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, dict):
        return "a group of keys"
    return str(value)


def _bool(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in _WORDS:
        return _WORDS[given.lower()]
    raise NotAValue


def _int(given: Any) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str):
        try:
            return int(given)
        except ValueError:
            raise NotAValue from None
    raise NotAValue


def _float(given: Any) -> float:
    if isinstance(given, bool):
        raise NotAValue
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise NotAValue from None
    if not math.isfinite(number):
        raise NotAValue
    return number


def _str(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    text = str(given)
    if not text.strip():
        raise NotAValue
    return text


_READERS: dict[Any, Any] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    Path: lambda given: Path(_str(given)),
}
