"""Values of a JSON file that know where they stand, so that a fault can name its place."""

from __future__ import annotations

from typing import Any, NamedTuple

from mtl.errors import DataError, Place, Problem


class Node(NamedTuple):
    """A value of a JSON file that knows where it stands."""

    value: Any
    file: str
    """The file, or ``file:line``."""
    place: str = ""
    """The way from the top, such as ``data[0].qas[2].id``; empty at the top."""

    def check(self, wanted: type) -> Node:
        """Return the node itself if its value is of a type: dict, list, str or int.

        Raises:
            DataError: If it is not.
        """
        if isinstance(self.value, wanted) and (wanted is bool or not isinstance(self.value, bool)):
            return self
        what, found = self.place or "JSON", kind(self.value)
        expected = f"{what} to be {_NAMES[wanted]}"
        raise DataError(Problem(Place(self.file), expected, f"got {found}"))

    def get(self, key: str, wanted: type) -> Node:
        """Return an object's member, which must be of a type.

        Raises:
            DataError: If there is none, or it is of another type.
        """
        if key not in self.check(dict).value:
            expected = f"{self.place or 'the object'} to have '{key}'"
            raise DataError(Problem(Place(self.file), expected, "it has not"))
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


_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    bool: "a truth value",
}


def kind(value: object) -> str:
    """Return JSON's word for a value's type, for messages."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return _NAMES.get(type(value), "null")
