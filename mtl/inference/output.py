"""Files that are written as a whole or not at all, and JSON that people can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mtl.errors import ConfigError, Problem
from mtl.files import open_whole

WIDTH = 80
OVER = 30
"""A list's item may be longer by so much: on two lines it reads better than on ten."""


@contextmanager
def atomic(path: Path, option: str) -> Iterator[TextIO]:
    """Open a file beside `path` that takes its place at the end, and goes if anything fails.

    Args:
        path: The file; one that is there is replaced.
        option: The option that names it.

    Raises:
        ConfigError: If it cannot be written.
    """
    expected = "to be a file that can be written"
    if path.exists() and not path.is_file():
        raise ConfigError(Problem(option, expected, f"'{path}' is none"))
    try:
        with open_whole(path) as file:
            yield file
    except OSError as error:
        found = f"got '{path}' ({error.strerror or error})"
        advice = f"Name another with `{option}`."
        raise ConfigError(Problem(option, expected, found, advice)) from error


def plain(value: object, out: TextIO) -> str:
    """Return JSON on one line, escaped to ASCII where `out` knows nothing else."""
    unicode = "utf" in (out.encoding or "").lower()
    return json.dumps(value, ensure_ascii=not unicode)


def pretty(value: object, out: TextIO, indent: int = 0, used: int = 0) -> str:
    """Return JSON with one member a line, and whatever fits into a line on one.

    Args:
        value: Anything that JSON can hold.
        out: Where it is to be written.
        indent: Spaces before the value's further lines; at 0 the value itself is spread out.
        used: Characters that stand before it on its first line.
    """
    line = plain(value, out)
    fits = indent > 0 and indent + used + len(line) < WIDTH
    if fits or not value or not isinstance(value, dict | list):
        return line
    deeper = indent + 2
    if isinstance(value, dict):
        members = [(f"{plain(key, out)}: ", item) for key, item in value.items()]
        parts = [key + pretty(item, out, deeper, len(key)) for key, item in members]
    else:
        parts = [pretty(item, out, deeper, -OVER) for item in value]
    inner = (",\n" + " " * deeper).join(parts)
    return f"{line[0]}\n{' ' * deeper}{inner}\n{' ' * indent}{line[-1]}"
