"""Typed columns of the ``datasets`` library: class numbers become names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mtl.data.readers.dotted import cell

if TYPE_CHECKING:
    import pyarrow as pa

Decode = Callable[[Any], Any]


def _same(cell: Any) -> Any:
    return cell


def _name(names: list[str], number: Any) -> str | None:
    if number is None or number < 0:
        return None
    if number >= len(names):
        raise ValueError(f"Expected a class number below {len(names)}, but got {number}")
    return names[number]


def decoder(feature: Any) -> Decode:
    """Return what turns a cell of a ``datasets`` feature into names.

    Args:
        feature: A feature: a ``ClassLabel``, or a list of them, becomes names; -1, the usual mark
            of a class that is not told, becomes ``None``. Any other cell stays as it is.
    """
    if hasattr(feature, "int2str"):
        return partial(_name, list(feature.names))
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is None:
        return _same
    each = decoder(inner)
    if each is _same:
        return _same
    return lambda cells: None if cells is None else [each(cell) for cell in cells]


def decoders_of(schema: pa.Schema, names: Iterable[str]) -> dict[str, Decode]:
    """Return a decoder for each named column of a schema that ``datasets`` may have written."""
    if b"huggingface" not in (schema.metadata or {}):
        return dict.fromkeys(names, _same)
    import datasets

    features = datasets.Features.from_arrow_schema(schema)
    return named_decoders(features, names)


def named_decoders(features: Mapping[str, Any], names: Iterable[str]) -> dict[str, Decode]:
    """Return a decoder for each named column of a dataset's features."""
    return {name: decoder(cell(features, name)) for name in names}
