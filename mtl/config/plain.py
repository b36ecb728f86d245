"""From OmegaConf's nodes to plain values, noting what cannot be resolved."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl.config.section import MISSING, Values

Unresolved = dict[str, list[str]]
"""Why interpolations cannot be resolved, and the keys that hold them."""


def to_plain(cfg: DictConfig) -> tuple[Values, Unresolved]:
    """Return plain dicts, lists and scalars, interpolations resolved, and what could not be.

    What is missing becomes ``"???"``; what cannot be resolved stays as it was written.
    """
    unresolved: Unresolved = {}
    return _group(cfg, "", unresolved), unresolved


def _group(node: DictConfig, where: str, unresolved: Unresolved) -> Values:
    lead = f"{where}." if where else ""
    return {str(key): _child(node, key, f"{lead}{key!s}", unresolved) for key in node}


def _values(node: object, where: str, unresolved: Unresolved) -> object:
    if isinstance(node, DictConfig):
        return _group(node, where, unresolved)
    if isinstance(node, ListConfig):
        return [_child(node, i, f"{where}[{i}]", unresolved) for i in range(len(node))]
    return node


def _child(node: DictConfig | ListConfig, key: Any, where: str, unresolved: Unresolved) -> object:
    if OmegaConf.is_missing(node, key):
        return MISSING
    try:
        return _values(node[key], where, unresolved)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0].rpartition("resolving interpolation: ")[2].strip('."')
        unresolved.setdefault(reason, []).append(where)
        raw: Any = OmegaConf.to_container(node, resolve=False)
        return raw[key]
