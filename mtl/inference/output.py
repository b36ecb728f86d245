"""Files that are written as a whole or not at all, and JSON that people can read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mtl.errors import ConfigError

WIDTH = 80


@contextmanager
def atomic(path: Path, what: str) -> Iterator[TextIO]:
    """Open a file beside `path` that takes its place at the end, and goes if anything fails.

    Args:
        path: The file; one that is there is replaced.
        what: The option that named it, or what it is, for messages.

    Raises:
        ConfigError: If it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.exists() and not path.is_file():
        raise ConfigError(f"Expected {what} to be a file, but '{path}' is none.")
    try:
        file = beside.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            f"Expected {what} to be a file that can be written, but got '{path}': {error.strerror}."
        ) from error
    try:
        with file:
            yield file
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{what} '{path}' cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)


def pretty(value: Any, indent: int = 0, used: int = 0) -> str:
    """Return JSON with one member a line, and whatever fits into a line on one.

    Args:
        value: Anything that JSON can hold.
        indent: Spaces before the value's further lines; at 0 the value itself is spread out.
        used: Characters that stand before it on its first line.
    """
    line = json.dumps(value, ensure_ascii=False)
    fits = indent > 0 and indent + used + len(line) < WIDTH
    if fits or not value or not isinstance(value, dict | list):
        return line
    deeper = indent + 2
    if isinstance(value, dict):
        keys = [json.dumps(key, ensure_ascii=False) + ": " for key in value]
        parts = [k + pretty(v, deeper, len(k)) for k, v in zip(keys, value.values(), strict=True)]
    else:
        parts = [pretty(item, deeper) for item in value]
    inner = (",\n" + " " * deeper).join(parts)
    return f"{line[0]}\n{' ' * deeper}{inner}\n{' ' * indent}{line[-1]}"
