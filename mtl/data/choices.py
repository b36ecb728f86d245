"""Choices of which one is right, and how data says which.

One row; its label may be a number, a letter, a name or the choice itself::

    {"text": "Why did the pump stop?", "choices": ["It ran dry.", "It rained."], "label": "0"}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

from mtl.config.section import Values
from mtl.data.value_types import VALUE_TYPES, ValueType, show, to_label, to_text
from mtl.errors import Mismatch, Place, Problem
from mtl.types import Row

Choices: TypeAlias = "list[str] | dict[str, str]"
"""The texts in their order, by name where the data names them."""

FORMS = {
    "name": "the name of a choice",
    "text": "the text of a choice",
    "letter": "a letter",
    "0": "a number counted from 0",
    "1": "a number counted from 1",
}
"""How a label says which choice is right; of several that say the same, the first counts."""
_WANTED = "a list of choices"


def to_choices(cell: object) -> Choices | None:
    """Return choices, two or more, as a list of texts, or by name where they have names.

    A cell is a list of texts or of objects with ``text`` and maybe ``label``, an object of these
    two parallel lists, an object from name to text, any of these as JSON, or texts with ``|``
    between them. Blank ones at the end of a list are none.
    """
    if isinstance(cell, str):
        if not cell.strip():
            return None
        cell = _written(cell)
    items = _pairs(cell) if isinstance(cell, dict) else cell
    if not isinstance(items, list | tuple):
        raise Mismatch(_WANTED, f"got {show(cell)}")
    texts, names = [], []
    for number, item in enumerate(_without_end(items), start=1):
        given = item if isinstance(item, dict) else {"text": item}
        text = _text(given.get("text"))
        if text is None:
            raise Mismatch(_WANTED, f"item {number} of {len(items)} is empty")
        texts.append(text)
        names.append(None if given.get("label") is None else to_label(given["label"]))
    if len(texts) < 2:
        raise Mismatch("two choices or more", f"got {show(cell)}")
    if None in names:
        return texts
    if len(set(names)) < len(names):
        raise Mismatch("choices whose names occur once", f"got {show(cell)}")
    return dict(zip(map(str, names), texts, strict=True))


VALUE_TYPES.register("choices")(ValueType(to_choices, "json"))
# A label that is a text has no share in each split, as labels of a fixed set have.
VALUE_TYPES.register("choice")(ValueType(to_label, "string"))


def _written(cell: str) -> object:
    if cell.lstrip().startswith(("[", "{")):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            wanted = 'choices in JSON, such as ["a", "b"]'
            raise Mismatch(wanted, f"got {show(cell)}") from None
    return cell.split("|")


def _pairs(cell: Values) -> object:
    texts, names = cell.get("text"), cell.get("label")
    if not isinstance(texts, list | tuple):
        return [{"text": text, "label": name} for name, text in cell.items()]
    if names is None:
        return texts
    if not isinstance(names, list | tuple) or len(names) != len(texts):
        raise Mismatch("as many names of choices as texts", f"got {show(cell)}")
    return [{"text": t, "label": n} for t, n in zip(texts, names, strict=True)]


def _without_end(items: Sequence[object]) -> Sequence[object]:
    """Return items without blank ones at their end, which pad columns and lists."""
    size = len(items)
    while size and _blank(items[size - 1]):
        size -= 1
    return items[:size]


def _blank(item: object) -> bool:
    text = item.get("text") if isinstance(item, dict) else item
    return text is None or (isinstance(text, str) and not text.strip())


def _text(cell: object) -> str | None:
    if cell is None:
        return None
    return to_text(cell) if isinstance(cell, str) else to_label(cell)


def texts_of(choices: Choices) -> list[str]:
    """Return the texts of choices."""
    return list(choices.values()) if isinstance(choices, dict) else list(choices)


def readings(label: str, choices: Choices) -> dict[str, int]:
    """Return, by each of :data:`FORMS` that a label can have, the choice that it means, from 0."""
    texts = [text.strip() for text in texts_of(choices)]
    found: dict[str, int] = {}
    if isinstance(choices, dict) and label in choices:
        found["name"] = list(choices).index(label)
    if texts.count(label) == 1:
        found["text"] = texts.index(label)
    if len(label) == 1 and label.isascii() and label.isalpha():
        found["letter"] = ord(label.upper()) - ord("A")
    if label.isascii() and label.isdecimal() and len(label) < 9:
        found |= {"0": int(label), "1": int(label) - 1}
    return {form: at for form, at in found.items() if 0 <= at < len(texts)}


def written(number: int, choices: Choices, form: str) -> str:
    """Return the label that means a choice, as the data has it."""
    write: dict[str, Callable[[], str]] = {
        "name": lambda: list(choices)[number],
        "text": lambda: texts_of(choices)[number],
        "letter": lambda: chr(ord("A") + number),
        "0": lambda: str(number),
        "1": lambda: str(number + 1),
    }
    unnamed = form == "name" and not isinstance(choices, dict)
    return write["text" if unnamed else form]()


@dataclass
class _Seen:
    """What labels of some rows can mean."""

    rows: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    lacks: dict[str, Row] = field(default_factory=dict)
    """By form, the first row whose label has it not."""
    apart: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By two forms, the first row whose label means different choices in them."""

    def add(self, row: Row) -> None:
        found = readings(row["label"], row["choices"])
        self.rows += 1
        self.fits.update(found.keys())
        for form in FORMS.keys() - found.keys():
            self.lacks.setdefault(form, row)
        for pair in combinations([form for form in FORMS if form in found], 2):
            if found[pair[0]] != found[pair[1]]:
                self.apart.setdefault(pair, row)


def form_of(rows: Iterable[Row], key: str, asked: str = "auto") -> str | Problem:
    """Return how the labels of all rows say which choice is right, or what is wrong with them.

    Args:
        rows: With ``choices`` and ``label``.
        key: The config key that says it, for messages.
        asked: One of :data:`FORMS`, or ``auto`` to find it.
    """
    seen = _Seen()
    for row in rows:
        seen.add(row)
    forms = [asked] if asked != "auto" else list(FORMS)
    fitting = [form for form in forms if form not in seen.lacks]
    if not fitting:
        best = max(forms, key=lambda form: seen.fits[form])
        other = seen.lacks[best]
        others = "" if asked != "auto" else f", as {seen.fits[best]:,} of {seen.rows:,} labels are"
        return not_a(best, other, others)
    for pair in combinations(fitting, 2):
        if (apart := seen.apart.get(pair)) is not None:
            expected = f"to be one of {{{', '.join(fitting)}}}, because all labels may be either"
            may = f"{FORMS[pair[0]]} or {FORMS[pair[1]]}"
            found = f"'{apart['label']}' may be {may} in {_place(apart)}"
            return Problem(key, expected, found, f"Set `{key}={pair[0]}` or `{key}={pair[1]}`.")
    return fitting[0]


def not_a(form: str, row: Row, others: str = "") -> Problem:
    """Return the problem of a label that says in another form, or not at all, what is right."""
    count = len(row["choices"])
    expected = f"{FORMS[form]} of {count} choices for a label{others}"
    advice = "Mend it, or leave the row out."
    return Problem(_place(row), expected, f"got '{row['label']}'", advice)


def _place(row: Row) -> Place:
    return Place(row["_file"], row["_line"])
