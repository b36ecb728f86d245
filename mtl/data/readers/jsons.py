"""JSON: one object a line, or one list of objects, at the top or under ``data``.

Lists are walked element by element, so that each row knows its line and only one is in memory
beside the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mtl.data.kinds import show
from mtl.data.readers.base import FORMATS, Cells, Format, Source, missing_column, only_names
from mtl.data.readers.nested import cell, has
from mtl.data.readers.text import lines, whole

_SPACE = re.compile(r"[ \t\r\n]*")
BROKEN = (ValueError, RecursionError)
"""What the json module raises: also for numbers of thousands of digits, and for deep nesting."""


def read_jsonl(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a file with one object a line; blank lines are left out."""
    for number, line in lines(source):
        text = line.strip()
        if not text:
            continue
        try:
            value = json.loads(text)
        except BROKEN as problem:
            hint = ""
            if number == 1 and text[0] == "[":
                hint = f"; if it is one list, set `{source.section}.format=json`"
            reason = f"Expected a JSON object, but found {_problem(problem)}{hint}"
            source.reject(number, reason, text)
            continue
        yield from _object(source, number, value)


def read_json(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a file that is a list of objects, or an object with one under ``data``.

    A file of one object a line is read as such, whatever its ending.
    """
    if _is_lines(source):
        yield from read_jsonl(source)
        return
    try:
        yield from _rows(source, whole(source))
    except BROKEN as problem:
        line = getattr(problem, "lineno", 0)
        raise source.fail(line, f"Expected JSON, but found {_problem(problem)}.") from None


def _problem(problem: Exception) -> str:
    if isinstance(problem, json.JSONDecodeError):
        return f"broken JSON: {problem.msg} (column {problem.colno})"
    deep = isinstance(problem, RecursionError)
    return "values nested too deeply" if deep else "a number of too many digits"


def _is_lines(source: Source) -> bool:
    for _, line in lines(source):
        if line.strip():
            try:
                value = json.loads(line)
            except BROKEN:
                return False
            return isinstance(value, dict) and not isinstance(value.get("data"), list)
    return False


def _object(source: Source, line: int, value: Any) -> Iterator[tuple[int, Cells]]:
    if not isinstance(value, dict):
        source.reject(line, f"Expected a JSON object, but got {show(value)}", value)
        return
    for name in source.needed:
        if not has(value, name):
            source.reject(line, missing_column(name, value), value)
            return
    yield line, {name: cell(value, str(name)) for name in source.wanted}


def _rows(source: Source, text: str) -> Iterator[tuple[int, Cells]]:
    line, counted = 1, 0
    for at, value in _elements(text, _list(source, text)):
        line += text.count("\n", counted, at)
        counted = at
        yield from _object(source, line, value)


def _list(source: Source, text: str) -> int:
    """Return where the list of rows opens."""
    at = _skip(text, 0)
    if text[at : at + 1] == "{":
        at = _value(text, at, "data")
    if text[at : at + 1] == "[":
        return at
    line = text.count("\n", 0, at) + 1
    raise source.fail(line, "Expected a list of objects, or an object with a list under `data`.")


def _value(text: str, start: int, name: str) -> int:
    """Return where the value of `name` begins in the object at `start`; 0 if it has none."""
    decoder = json.JSONDecoder()
    at = _skip(text, start + 1)
    while text[at : at + 1] == '"':
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        if key == name:
            return at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != "}":
            at = _skip(text, _expect(text, at, ","))
    return 0


def _elements(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """Yield where each element of the list at `start` begins, and its value."""
    decoder = json.JSONDecoder()
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        value, end = decoder.raw_decode(text, at)
        yield at, value
        at = _skip(text, end)
        if text[at : at + 1] != "]":
            at = _skip(text, _expect(text, at, ","))
    if text[:start].strip() == "" and text[at + 1 :].strip():
        raise json.JSONDecodeError("more after the list", text, _skip(text, at + 1))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"no '{mark}'", text, at)
    return at + 1


FORMATS.register("jsonl")(Format(read_jsonl, (".jsonl", ".ndjson"), only_names))
FORMATS.register("json")(Format(read_json, (".json",), only_names))
