"""Reading the files that are scored; a fault names the file, and the line where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mtl.errors import DataError


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text, without a byte-order mark, every line end a newline.

    Raises:
        DataError: If there is no such file, it cannot be read, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: expected a file, but there is none.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, but it is a folder.") from None
    except UnicodeDecodeError as problem:
        raise DataError(
            f"{path}: expected UTF-8 text, but byte {problem.start:,} is not; convert the file."
        ) from None
    except OSError as problem:
        raise DataError(f"{path}: the file cannot be read: {problem.strerror}.") from None


def parse_json(text: str, where: str) -> Any:
    """Return parsed JSON.

    Args:
        text: The JSON text.
        where: File, or file and line, for the message.

    Raises:
        DataError: If the text is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        place = f"line {problem.lineno}, column {problem.colno}"
        raise DataError(f"{where}: expected JSON, but got: {problem.msg} ({place}).") from None


class Node(NamedTuple):
    """A value of a JSON file that knows where it stands."""

    value: Any
    file: str
    """The file, or ``file:line``."""
    place: str = ""
    """The way from the top, such as ``data[0].qas[2].id``; empty at the top."""

    def check(self, wanted: type) -> Node:
        """Return the node itself if its value is of a type: dict, list or str.

        Raises:
            DataError: If it is not.
        """
        if isinstance(self.value, wanted):
            return self
        what, found = self.place or "JSON", kind(self.value)
        raise DataError(f"{self.file}: expected {what} to be {kind(wanted())}, but got {found}.")

    def get(self, key: str, wanted: type) -> Node:
        """Return an object's member, which must be of a type.

        Raises:
            DataError: If there is none, or it is of another type.
        """
        if key not in self.check(dict).value:
            raise DataError(
                f"{self.file}: expected {self.place or 'the object'} to have '{key}', "
                "but it has not."
            )
        place = f"{self.place}.{key}" if self.place else key
        return Node(self.value[key], self.file, place).check(wanted)

    def each(self, key: str, wanted: type) -> list[Node]:
        """Return the elements of a list that is an object's member; each must be of a type.

        Raises:
            DataError: If there is no such list, or an element is of another type.
        """
        whole = self.get(key, list)
        return [
            Node(value, self.file, f"{whole.place}[{i}]").check(wanted)
            for i, value in enumerate(whole.value)
        ]


def read_json(path: Path) -> Node:
    """Return the JSON object that a file holds.

    Raises:
        DataError: If the file cannot be read or holds no JSON object.
    """
    return Node(parse_json(read_text(path), str(path)), str(path)).check(dict)


def read_jsonl(path: Path) -> Iterator[Node]:
    """Yield the JSON object on each line; blank lines are skipped.

    Raises:
        DataError: If the file cannot be read or a line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield Node(parse_json(line, where), where).check(dict)


def kind(value: Any) -> str:
    """Return JSON's word for a value's type, for messages."""
    words = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return words.get(type(value), "null" if value is None else f"the number {value}")


def check_overlap(
    golds: Mapping[str, object], found: Mapping[str, object], path: Path, what: str
) -> int:
    """Return how many ids of the gold data have no prediction; each of them counts as wrong.

    Args:
        golds: The gold data by id.
        found: The predictions by id.
        path: The file of predictions.
        what: What an id stands for, in the plural.

    Raises:
        DataError: If no id at all agrees, so that the files cannot belong together.
    """
    missing = sum(key not in found for key in golds)
    if missing == len(golds):
        example = next(iter(golds))
        raise DataError(
            f"{path}: expected predictions for the {len(golds):,} {what} of the gold file, such "
            f"as id '{example}', but none of its {len(found):,} ids is among them."
        )
    return missing
