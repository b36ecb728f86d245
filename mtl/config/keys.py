"""The dotted keys of a tree of dataclasses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints


def dotted_keys(cls: type, names: tuple[str, ...] = (), prefix: str = "") -> Iterator[str]:
    """Yield every key of a dataclass and of the dataclasses in it, nodes included.

    Args:
        cls: The dataclass.
        names: The keys that stand in mappings to dataclasses (the chosen tasks).
        prefix: What each key begins with.
    """
    hints = get_type_hints(cls)
    for field in fields(cls):
        key = f"{prefix}{field.name}"
        yield key
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from dotted_keys(hint, names, f"{key}.")  # type: ignore[arg-type]
        elif inner := mapped_dataclass(hint):
            for name in names:
                yield f"{key}.{name}"
                yield from dotted_keys(inner, names, f"{key}.{name}.")


def mapped_dataclass(hint: Any) -> type | None:
    """Return ``D`` for ``dict[str, D]`` where ``D`` is a dataclass."""
    if get_origin(hint) is dict and is_dataclass(inner := get_args(hint)[1]):
        return inner  # type: ignore[return-value]
    return None


def is_key(cls: type, key: str) -> bool:
    """Whether a dotted key exists below `cls`; below ``Any`` and plain mappings all keys do."""
    hint: Any = cls
    for part in key.split("."):
        if not is_dataclass(hint):
            inner = mapped_dataclass(hint)
            if inner is None:
                return hint is Any or get_origin(hint) is dict
            hint = inner
            continue
        hints = get_type_hints(hint)
        if part not in hints:
            return False
        hint = hints[part]
    return True
