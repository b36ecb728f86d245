"""What a cell of a data file becomes: one small converter for each type of role.

A converter takes the cell as the reader found it, never ``None``, and returns the value, or
``None`` when the cell is empty. It raises :class:`ValueError` with a sentence when the cell is of
the wrong kind; the caller adds the file, the line and the role.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from mtl.config.section import Values
from mtl.errors import Mismatch, as_mismatch
from mtl.registry import Registry

Converter = Callable[[Any], Any]
T = TypeVar("T")
Storage = Literal["string", "strings", "number", "json"]


@dataclass(frozen=True)
class ValueType:
    """A converter, and how its values lie in an Arrow table."""

    convert: Converter
    storage: Storage


VALUE_TYPES: Registry[ValueType] = Registry("type of role")


def _value_type(name: str, storage: Storage) -> Callable[[Converter], Converter]:
    def add(convert: Converter) -> Converter:
        VALUE_TYPES.register(name)(ValueType(convert, storage))
        return convert

    return add


def show(cell: object, limit: int = 60) -> str:
    """Return a cell as it appears in a message: one line, cut to `limit` characters."""
    text = repr(cell)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _unexpected(wanted: str, cell: object) -> Mismatch:
    return Mismatch(wanted, f"got {show(cell)}")


@_value_type("text", "string")
def to_text(cell: object) -> str | None:
    """Return a string as it stands; white space alone is empty. Sentences in a list are joined."""
    if isinstance(cell, list) and cell and all(isinstance(item, str) for item in cell):
        cell = " ".join(item.strip() for item in cell)
    if not isinstance(cell, str):
        raise _unexpected("text", cell)
    return _whole(cell) if cell.strip() else None


def _whole(text: str) -> str:
    r"""Return a text without halves of characters, which JSON's ``\ud83d`` can stand for."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _unexpected("Unicode text without half a character", text) from None
    return text


_WHOLE_NUMBER = re.compile(r"^([+-]?\d+)\.0+$")


@_value_type("label", "string")
def to_label(cell: object) -> str | None:
    """Return a name: a stripped string, a truth value, or a whole number; 1 and 1.0 are one."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, int):
        return str(cell)
    if not isinstance(cell, str):
        raise _unexpected("a label (text or a whole number)", cell)
    name = _WHOLE_NUMBER.sub(r"\1", cell.strip())
    return _whole(name) or None


@_value_type("number", "number")
def to_number(cell: object) -> float | None:
    """Return a finite number; digits in a string count."""
    if isinstance(cell, str) and not cell.strip():
        return None
    try:
        other = isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell)
        value = math.nan if other else float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise _unexpected("a finite number", cell)
    return value


def _json_list(cell: str) -> list[object] | None:
    try:
        value = json.loads(cell)
    except RecursionError:
        raise _unexpected("a list in JSON that is not nested so deeply", cell) from None
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def _items(
    cell: object,
    wanted: str,
    convert: Callable[[object], T | None],
    split: Callable[[str], list[str]],
) -> list[T]:
    """Return the items of a list, in JSON where it is a string, or the parts of a plain string."""
    if isinstance(cell, str):
        written = _json_list(cell) if cell.lstrip().startswith("[") else None
        if written is None and cell.lstrip().startswith(("['", '["')):
            raise _unexpected('a list in JSON, such as ["a", "b"]', cell)
        cell = split(cell) if written is None else written
    if not isinstance(cell, list | tuple):
        raise _unexpected(wanted, cell)
    values = []
    for number, item in enumerate(cell, start=1):
        try:
            value = convert(item)
        except ValueError as problem:
            wrong = as_mismatch(problem, wanted)
            raise wrong.inside(f"as item {number} of {len(cell)}") from None
        if value is None:
            raise Mismatch(wanted, f"item {number} of {len(cell)} is empty")
        values.append(value)
    return values


def _word(cell: object) -> str | None:
    # A word of white space (a no-break space, say) does occur in real corpora; "" does not.
    if isinstance(cell, dict) and isinstance(cell.get("text"), str):
        cell = cell["text"]
    if not isinstance(cell, str):
        raise _unexpected("a word", cell)
    return _whole(cell) or None


@_value_type("tokens", "strings")
def to_tokens(cell: object) -> list[str] | None:
    """Return a list of words, or of objects with the word as ``text``.

    A string is split on white space, or parsed if it is a JSON list.
    """
    return _items(cell, "a list of words", _word, str.split) or None


@_value_type("tags", "strings")
def to_tags(cell: object) -> list[str] | None:
    """Return a list of labels, one a word; strings as for ``tokens``."""
    return _items(cell, "a list of labels", to_label, str.split) or None


def _split_names(cell: str) -> list[str]:
    separator = "|" if "|" in cell else ","
    return [name for name in cell.split(separator) if name.strip()]


@_value_type("labels", "strings")
def to_labels(cell: object) -> list[str]:
    """Return a set of labels as a list, possibly empty; a string is split on ``|``, else ``,``.

    An object has 0 or 1 for each label. A list of 0 and 1 stays as it is: labels may be named
    elsewhere.
    """
    if isinstance(cell, dict):
        return [name for label, on in cell.items() if (name := to_label(label)) and _switch(on)]
    names = _items(cell, "a list of labels", to_label, _split_names)
    return names if set(names) <= {"0", "1"} else list(dict.fromkeys(names))


def _switch(cell: object) -> bool:
    try:
        value = to_label(cell)
    except ValueError:
        value = None
    known = {"1": True, "true": True, "0": False, "false": False}
    if value not in known:
        raise _unexpected("0 or 1 for each label", cell)
    return known[value]


@_value_type("texts", "strings")
def to_texts(cell: object) -> list[str] | None:
    """Return a list of texts; a string is a list of one, or parsed if it is a JSON list."""
    if isinstance(cell, str):
        cell = (_json_list(cell) or [cell]) if cell.strip() else []
    return _items(cell, "a list of texts", to_text, str.split) or None


@_value_type("record", "json")
def to_record(cell: object) -> object:
    """Return any JSON value as it stands."""
    return cell


_STARTS = ("start", "answer_start")


@_value_type("answers", "json")
def to_answers(cell: object) -> list[Values]:
    """Return answers as ``[{"text": …, "start": … or None}]``; none is a question without one.

    A cell is one answer, a list of them (strings, or objects with ``text`` and maybe ``start`` or
    ``answer_start``), an object of two parallel lists, as the Hub has it, or any of these as JSON
    in a string. Blank answers are none.
    """
    if isinstance(cell, str):
        return _written(cell)
    if isinstance(cell, dict):
        return to_answers(_in_pairs(cell))
    if not isinstance(cell, list | tuple):
        raise _unexpected("answers", cell)
    found = [_answer(item) for item in cell]
    return [answer for answer in found if answer["text"].strip()]


def _written(cell: str) -> list[Values]:
    """Return the answers in a string: JSON, or one answer as it stands."""
    if cell.lstrip()[:2] in ('["', "[{", '{"', "[]"):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            value = None
        if value is not None:
            return to_answers(value)
    return [{"text": _whole(cell), "start": None}] if cell.strip() else []


def _in_pairs(cell: Values) -> list[Values]:
    """Return ``{"text": [...], "answer_start": [...]}`` as a list of objects."""
    texts = cell.get("text")
    starts = next((cell[key] for key in _STARTS if cell.get(key) is not None), None)
    if isinstance(texts, str):
        texts, starts = [texts], [starts]
    if not isinstance(texts, list | tuple):
        raise _unexpected("answers with `text`", cell)
    starts = [None] * len(texts) if starts is None else starts
    if not isinstance(starts, list | tuple) or len(starts) != len(texts):
        raise _unexpected("as many answer starts as texts", cell)
    return [{"text": t, "start": s} for t, s in zip(texts, starts, strict=True)]


def _answer(item: object) -> Values:
    given = {"text": item} if isinstance(item, str) else item
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise _unexpected("an answer (text, or an object with `text`)", item)
    start = next((given[key] for key in _STARTS if given.get(key) is not None), None)
    return {"text": _whole(given["text"]), "start": to_start(start)}


UNKNOWN = -1
"""An answer's start that says of itself that it is not known, as CMRC 2018 has it."""


def to_start(value: object) -> int | None:
    """Return the place of an answer's first character; digits in a string count, blanks do not.

    Raises:
        ValueError: If it is no whole number of 0 or more, nor :data:`UNKNOWN`.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = value
    if value == UNKNOWN or (isinstance(value, str) and value.strip() == str(UNKNOWN)):
        return UNKNOWN
    if isinstance(value, str):
        number = int(value) if value.strip().isdecimal() and len(value) < 19 else None
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _unexpected("an answer's start as a whole number of 0 or more", value)
    return number


_SPAN_KEYS = {
    "start": ("start", "start_offset", "startOffset", "start_char", "begin", "from", "offset"),
    "end": ("end", "end_offset", "endOffset", "end_char", "stop", "to"),
    "label": (
        *("label", "labels", "type", "label_", "entity_type", "entity_group", "tag", "category"),
        *("class", "name", "entity"),
    ),
    "text": ("text", "surface", "mention", "word", "value"),
}
"""What tools call the parts of a span; of several that an object has, the first counts."""
_SPAN_LISTS = ("entities", "spans", "ents", "labels", "label", "annotations")
"""Under which key an object holds its list of spans."""
_A_SPAN = "a span ([start, end, label], or an object with start, end and label)"


@_value_type("spans", "json")
def to_spans(cell: object) -> list[Values]:
    """Return spans as ``[{"start": 0, "end": 11, "label": "PER"}]``; ``text`` where it is given.

    A cell is a list of ``[start, end, label]`` or of objects with these under a tool's names, an
    object that holds such a list, an object of three parallel lists, or any of these as JSON in a
    string. An object with several labels is as many spans.
    """
    if isinstance(cell, str):
        try:
            cell = json.loads(cell) if cell.strip() else []
        except (ValueError, RecursionError):
            raise _unexpected('spans in JSON, such as [[0, 4, "PER"]]', cell) from None
    if isinstance(cell, dict):
        cell = _listed(cell)
    if not isinstance(cell, list | tuple):
        raise _unexpected("a list of spans", cell)
    return [span for item in cell for span in _spans(item)]


def _listed(cell: Values) -> object:
    """Return the list of spans that an object holds, of parallel lists as a list of triples."""
    if not cell:
        return []
    sides = [_first_of(cell, _SPAN_KEYS[part]) for part in ("start", "end", "label")]
    if all(isinstance(side, list | tuple) for side in sides):
        if len({len(side) for side in sides}) > 1:
            raise _unexpected("as many starts and ends as labels", cell)
        return list(zip(*sides, strict=True))
    held = _first_of(cell, _SPAN_LISTS)
    return [cell] if held is None or sides[0] is not None else held


def _first_of(given: Values, keys: tuple[str, ...]) -> Any:
    return next((given[key] for key in keys if given.get(key) is not None), None)


def _spans(item: object) -> list[Values]:
    """Return the spans of an item of a list: one for each of its labels."""
    if isinstance(item, dict):
        parts = {part: _first_of(item, keys) for part, keys in _SPAN_KEYS.items()}
        if parts["end"] is None and isinstance(item.get("length"), int):
            parts["end"] = _offset(parts["start"], item) + item["length"]
    elif isinstance(item, list | tuple) and len(item) >= 3:
        parts = {**dict(zip(("start", "end", "label"), item, strict=False)), "text": None}
    else:
        raise _unexpected(_A_SPAN, item)
    start, end = _offset(parts["start"], item), _offset(parts["end"], item)
    held = {"text": parts["text"]} if isinstance(parts["text"], str) else {}
    labels = parts["label"] if isinstance(parts["label"], list) else [parts["label"]]
    names = [None if label is None else to_label(label) for label in labels]
    if not names or None in names:
        raise _unexpected(_A_SPAN, item)
    return [{"start": start, "end": end, "label": name, **held} for name in names]


def _offset(value: object, item: object) -> int:
    """Return a place in a text, as a number or as digits; where it lies is not looked at."""
    if isinstance(value, str) and len(value) < 19 and value.strip().lstrip("-").isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**18:
        raise _unexpected(_A_SPAN, item)
    return value
