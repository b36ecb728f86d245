"""Hydra's own settings may name things to call: only Hydra's, its plugins' and their samplers'.

Hydra calls what ``_target_`` names (callbacks, launcher, sweeper and what is in them), and
``logging`` what ``()``, ``class`` and ``ext://`` name. A configuration file from somebody else
must not be able to run code by that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from omegaconf import DictConfig

from mtl.config.plain import to_plain
from mtl.errors import Problem

_LOGGING = r"logging\.(handlers\.)?[A-Z]\w*(Handler|Formatter|Filter)|colorlog\.[A-Z]\w*Formatter"
CALLED = {
    "_target_": re.compile(
        r"hydra\._internal\.core_plugins\.\w+\.[A-Z]\w*(Launcher|Sweeper)"
        r"|hydra\.experimental\.callbacks\.[A-Z]\w*Callback"
        r"|hydra_plugins\.\w+\.\w+\.[A-Z]\w*(Launcher|Sweeper)"
        r"|optuna\.samplers\.[A-Z]\w*Sampler"
    ),
    "class": re.compile(_LOGGING),
    "()": re.compile(_LOGGING),
    "custom_search_space": re.compile("(?!)"),
}
"""The keys whose value is called, and what it may be; the last one is Optuna's."""
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def called(hydra: DictConfig) -> list[Problem]:
    """Return the problem of each setting of Hydra that would call something of its own.

    Args:
        hydra: The ``hydra`` node of a composed configuration.
    """
    values, _ = to_plain(hydra)
    advice = "Configuration files may not name code to run; take it out."
    return [
        Problem(key, "to be something of Hydra or of its plugins", f"got '{value}'", advice)
        for key, value in _leaves(values, "hydra")
        if not _harmless(key.rpartition(".")[2], value)
    ]


def _leaves(node: object, where: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{where}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _leaves(value, f"{where}[{number}]")
    else:
        yield where, node


def _harmless(key: str, value: object) -> bool:
    if value is None:
        return True
    if str(value).startswith(("ext://", "cfg://")):
        return value in STREAMS
    return key not in CALLED or bool(CALLED[key].fullmatch(str(value)))
