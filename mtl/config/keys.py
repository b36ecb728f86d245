"""Every dotted key that there is."""

from __future__ import annotations

from typing import get_args, get_origin

from mtl.config.schema import Config
from mtl.config.section import Section


def dotted_keys(
    section: type[Section] = Config, names: tuple[str, ...] = (), prefix: str = ""
) -> list[str]:
    """Return every key of a section and of the sections in it, groups of keys included.

    Args:
        section: Where to begin.
        names: The keys of mappings to sections: the chosen tasks.
        prefix: What each key begins with.
    """
    keys: list[str] = []
    for name, field in section.model_fields.items():
        keys.append(f"{prefix}{name}")
        inner, mapped = _section_of(field.annotation)
        for parent in [f"{prefix}{name}.{one}" for one in names] if mapped else [keys[-1]]:
            keys += [parent] if mapped else []
            keys += dotted_keys(inner, names, f"{parent}.") if inner is not None else []
    return keys


def _section_of(hint: object) -> tuple[type[Section] | None, bool]:
    """Return the section that an annotation is or maps names to, and whether it maps them."""
    mapped = get_origin(hint) is dict
    inner = get_args(hint)[1] if mapped else hint
    if isinstance(inner, type) and issubclass(inner, Section):
        return inner, mapped
    return None, False
