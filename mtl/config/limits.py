"""Dataclass fields that say which values they take.

A limit is field metadata, so any options dataclass can carry one without importing this module:
``choices`` (names), ``min`` and ``max`` (inclusive), ``above`` and ``below`` (exclusive), ``also``
(values that are right although outside the range), ``length`` (of a list), ``blank`` (texts of
white space, or none, are texts too). For a list the limits hold for each element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any


def chosen(default: str | None, *choices: str) -> Any:
    """Return a field that takes one of a few names."""
    return field(default=default, metadata={"choices": choices})


def limited(default: Any, **limits: Any) -> Any:
    """Return a field that takes numbers of a range."""
    return field(default=default, metadata=limits)


def outside(value: Any, limits: Mapping[str, Any]) -> bool:
    """Whether a number breaks its range."""
    if value in limits.get("also", ()):
        return False
    return (
        ("min" in limits and value < limits["min"])
        or ("max" in limits and value > limits["max"])
        or ("above" in limits and value <= limits["above"])
        or ("below" in limits and value >= limits["below"])
    )


def phrase(limits: Mapping[str, Any]) -> str:
    """Return the range in words, such as ``at least 0 and below 1``."""
    if "min" in limits and "max" in limits:
        return f"from {limits['min']} to {limits['max']}"
    words = {"min": "at least", "above": "above", "max": "at most", "below": "below"}
    parts = [f"{text} {limits[name]}" for name, text in words.items() if name in limits]
    also = "".join(f", or {value}" for value in limits.get("also", ()))
    return " and ".join(parts) + also
