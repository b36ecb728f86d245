"""Files that are written as a whole or not at all, and JSON that people can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mtl.errors import ConfigError
from mtl.files import open_whole

WIDTH = 80
OVER = 30
"""A list's item may be longer by so much: on two lines it reads better than on ten."""


@contextmanager
def atomic(path: Path, what: str) -> Iterator[TextIO]:
    """Open a file beside `path` that takes its place at the end, and goes if anything fails.

    Args:
        path: The file; one that is there is replaced.
        what: The option that named it, or what it is, for messages.

    Raises:
        ConfigError: If it cannot be written.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"Expected {what} to be a file, but '{path}' is none.")
    opened = False
    try:
        with open_whole(path) as file:
            opened = True
            yield file
    except OSError as error:
        sentence = f"{what} '{path}' cannot be written: {error.strerror}."
        if not opened:
            expected = f"Expected {what} to be a file that can be written"
            sentence = f"{expected}, but got '{path}': {error.strerror}."
        raise ConfigError(sentence) from error


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
