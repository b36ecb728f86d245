"""What stands in a column: texts, words, labels, numbers, spans, answers, by its first cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtl.config.section import Values
from mtl.data.scripts import has_spaceless
from mtl.data.value_types import VALUE_TYPES

FEW = 50
"""Different labels that a column may have if nothing but its cells says that they are labels."""
_LONG = 40
"""Characters of a label."""


@dataclass(frozen=True)
class Profile:
    """What a column holds.

    Args:
        kind: ``text``, ``word``, ``label``, ``number``, ``constant`` or ``empty``; of lists and
            objects ``words``, ``labels``, ``texts``, ``spans``, ``answers``, ``flags`` (0 or 1 by
            label) or ``objects``.
        cells: Those that are not empty, lists as lists.
        distinct: How many different ones there are.
    """

    kind: str
    cells: list[Any]
    distinct: int

    @property
    def keys(self) -> set[str]:
        """Of objects: their keys."""
        objects = [o for cell in self.cells for o in (cell if isinstance(cell, list) else [cell])]
        return {key for one in objects if isinstance(one, dict) for key in one}


def profile(cells: Sequence[Any]) -> Profile:
    """Return what cells hold."""
    filled = [_parsed(cell) for cell in cells if cell is not None and cell != ""]
    distinct = len({repr(cell) for cell in filled})
    if not filled:
        return Profile("empty", [], 0)
    if all(isinstance(cell, list) for cell in filled):
        return Profile(_of_lists(filled), filled, distinct)
    if all(isinstance(cell, dict) for cell in filled):
        return Profile(_of_objects(filled), filled, distinct)
    if all(isinstance(cell, str | int | float) for cell in filled):
        return Profile(_of_values(filled, distinct), filled, distinct)
    return Profile("objects", filled, distinct)


def _parsed(cell: Any) -> Any:
    """Return a list or an object that stands as JSON in a text."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _converts(type: str, cells: Sequence[Any]) -> bool:
    try:
        converted = [VALUE_TYPES.get(type).convert(cell) for cell in cells]
    except ValueError:
        return False
    return any(value is not None and value != [] for value in converted)


def _of_lists(cells: Sequence[list[Any]]) -> str:
    items = [item for cell in cells for item in cell]
    if items and all(isinstance(item, str) for item in items):
        if sum(" " in item.strip() for item in items) * 2 > len(items):
            return "texts"
        repeated = any(len(set(cell)) < len(cell) for cell in cells)
        many = sum(map(len, cells)) > 4 * len(cells)
        return "words" if repeated or many else "labels"
    if all(isinstance(item, int) for item in items):
        return "words" if items else "labels"
    if _converts("spans", cells):
        return "spans"
    return "answers" if _converts("answers", cells) else "objects"


def _of_objects(cells: Sequence[Values]) -> str:
    if any("answer_start" in cell or "start" in cell for cell in cells):
        return "spans" if _converts("spans", cells) else "answers"
    flags = [value for cell in cells for value in cell.values()]
    if flags and all(value in (0, 1) for value in flags):
        return "flags"
    return "objects"


def _of_values(cells: Sequence[Any], distinct: int) -> str:
    numbers = _converts("number", cells)
    whole = numbers and all(float(cell).is_integer() for cell in cells)
    if numbers and not whole:
        return "number"
    texts = [str(cell) for cell in cells]
    if not numbers and _are_texts(texts, distinct):
        return "text"
    if distinct == 1 < len(cells):
        return "constant"
    if distinct * 2 <= len(cells) or (distinct <= FEW and distinct < len(cells)):
        return "label" if max(map(len, texts)) <= _LONG else "text"
    return "number" if numbers else "word"


def _are_texts(texts: Sequence[str], distinct: int) -> bool:
    """Whether most are several words, or as long as a sentence where words have no blanks."""
    wordy = sum(len(text.split()) > 2 or (len(text) > 8 and has_spaceless(text)) for text in texts)
    return wordy * 2 > len(texts) and distinct * 4 > len(texts)
