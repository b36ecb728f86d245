"""JSON: one object a line, or one list of objects, at the top or under ``data``.

A column ``questions[].question`` makes a row of each element of an object's list ``questions``;
see :mod:`mtl.data.readers.nested`. Lists are walked element by element, so that each row knows
its line and only one is in memory beside the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mtl.data.readers.base import FORMATS, Cells, Format, Source, column_advice, missing_column
from mtl.data.readers.nested import expand, fit_nested
from mtl.data.readers.text import lines, whole
from mtl.data.value_types import show
from mtl.errors import Mismatch

_SPACE = re.compile(r"[ \t\r\n]*")
BROKEN = (ValueError, RecursionError)
"""What the json module raises: also for numbers of thousands of digits, and for deep nesting."""

_OBJECT = "a JSON object"


def read_jsonl(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a file with one object a line; blank lines are left out and counted."""
    first = True
    blank: list[int] = []
    for number, line in lines(source):
        text = line.strip()
        if not text:
            blank.append(number)
            continue
        while blank:  # Those at the end of a file are no rows.
            if source.dialect.keep_blank:
                source.reject(blank.pop(0), Mismatch(_OBJECT, "the line is blank"), "")
            else:
                source.count(blank.pop(0), "blank line", "left out")
        try:
            value = json.loads(text)
        except BROKEN as problem:
            hint = ""
            if number == 1 and text[0] == "[":
                hint = f"; if it is one list, set `{source.key('format')}=json`"
            source.reject(number, Mismatch(_OBJECT, f"found {fault(problem)}{hint}"), text)
            continue
        if first and isinstance(value, list):
            advice = f"If it is one list, set `{source.key('format')}=json`."
            source.reject(number, Mismatch(_OBJECT, f"got {show(value)}"), value, advice)
        else:
            yield from _object(source, number, value, first)
        first = False


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
        raise source.fail(line, "JSON", f"found {fault(problem)}") from None


def fault(problem: Exception) -> str:
    """Return what the json module could not read, in a few words."""
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


def _object(
    source: Source, line: int, value: object, first: bool = False
) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of an object; a column that the `first` one lacks is mapped wrongly."""
    if not isinstance(value, dict):
        source.reject(line, Mismatch(_OBJECT, f"got {show(value)}"), value)
        return
    for cells in expand(source, line, value):
        missing = next((name for name in source.needed if name not in cells), None)
        if missing is not None:
            advice = column_advice(source, missing, value) if first else None
            expected, found = missing_column(missing, value)
            source.reject(line, Mismatch(expected, found), value, advice)
            return
        yield line, cells


def _rows(source: Source, text: str) -> Iterator[tuple[int, Cells]]:
    line, counted = 1, 0
    for number, (at, value) in enumerate(elements(text, _list(source, text))):
        line += text.count("\n", counted, at)
        counted = at
        yield from _object(source, line, value, first=not number)


def _list(source: Source, text: str) -> int:
    """Return where the list of rows opens."""
    at = skip(text, 0)
    if text[at : at + 1] == "{":
        at = member(text, at, "data")
    if text[at : at + 1] == "[":
        return at
    line = text.count("\n", 0, at) + 1
    expected = "a list of objects, or an object with a list under `data`"
    raise source.fail(line, expected, f"found {show(text[at : at + 30])}")


def member(text: str, start: int, name: str) -> int:
    """Return where the value of `name` begins in the object at `start`; 0 if it has none."""
    decoder = json.JSONDecoder()
    at = skip(text, start + 1)
    while text[at : at + 1] == '"':
        key, at = decoder.raw_decode(text, at)
        at = skip(text, _expect(text, skip(text, at), ":"))
        if key == name:
            return at
        _, at = decoder.raw_decode(text, at)
        at = skip(text, at)
        if text[at : at + 1] != "}":
            at = skip(text, _expect(text, at, ","))
    return 0


def elements(text: str, start: int) -> Iterator[tuple[int, object]]:
    """Yield where each element of the list at `start` begins, and its value."""
    decoder = json.JSONDecoder()
    at = skip(text, start + 1)
    while text[at : at + 1] != "]":
        value, end = decoder.raw_decode(text, at)
        yield at, value
        at = skip(text, end)
        if text[at : at + 1] != "]":
            at = skip(text, _expect(text, at, ","))
    if text[:start].strip() == "" and text[at + 1 :].strip():
        raise json.JSONDecodeError("more after the list", text, skip(text, at + 1))


def skip(text: str, at: int) -> int:
    """Return where the next character that is no white space stands, from `at` on."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"no '{mark}'", text, at)
    return at + 1


FORMATS.register("jsonl")(Format(read_jsonl, (".jsonl", ".ndjson"), fit_nested))
FORMATS.register("json")(Format(read_json, (".json",), fit_nested))
