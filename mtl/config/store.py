"""The schema in Hydra's ConfigStore."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from mtl.config.schema import Config


@cache
def register() -> None:
    """Store the schema twice, as the choices of the group ``schema``.

    ``typed`` is what every run is composed with: Hydra refuses what does not fit. ``untyped`` holds
    the same defaults without types; our own check composes with it, to find every problem instead
    of the first. Tasks are an open mapping in both, since OmegaConf cannot add to a mapping of
    dataclasses from the command line; only our own check knows their keys.
    """
    store = ConfigStore.instance()
    tasks: Any = ("tasks", dict[str, Any], field(default_factory=dict))
    typed = OmegaConf.structured(make_dataclass("Typed", [tasks], bases=(Config,)))
    plain = OmegaConf.to_container(typed)
    store.store(group="schema", name="typed", node=typed, package="_global_", provider="mtl")
    store.store(group="schema", name="untyped", node=plain, package="_global_", provider="mtl")
