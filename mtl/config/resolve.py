"""From OmegaConf's nodes to plain values, with a sentence for what cannot be resolved."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl.config.build import NOT_GIVEN, Unresolved


def to_values(cfg: DictConfig) -> tuple[dict[str, Any], list[str]]:
    """Return plain dicts, lists and scalars, interpolations resolved, and the problems.

    What is missing becomes ``"???"``.
    """
    failed: dict[str, list[str]] = {}
    values = _values(cfg, "", failed)
    return values, [_sentence(reason, keys) for reason, keys in failed.items()]


def _sentence(reason: str, keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more keys" if len(keys) > 1 else ""
    return f"Expected `{keys[0]}`{more} to resolve, but got: {reason}."


def _values(node: Any, where: str, failed: dict[str, list[str]]) -> Any:
    if isinstance(node, DictConfig):
        return {
            str(key): _child(node, key, f"{where}.{key!s}" if where else str(key), failed)
            for key in node
        }
    if isinstance(node, ListConfig):
        return [_child(node, i, f"{where}[{i}]", failed) for i in range(len(node))]
    return node


def _child(
    node: DictConfig | ListConfig, key: Any, where: str, failed: dict[str, list[str]]
) -> Any:
    if OmegaConf.is_missing(node, key):
        return NOT_GIVEN
    try:
        return _values(node[key], where, failed)
    except OmegaConfBaseException as error:
        raw: Any = OmegaConf.to_container(node, resolve=False)
        reason = str(error).splitlines()[0].rpartition("resolving interpolation: ")[2].strip('."')
        failed.setdefault(reason, []).append(where)
        return Unresolved(raw[key])
