"""The keys that methods and task types bring themselves, below ``options`` and ``head``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mtl.config.keys import dotted_keys

if TYPE_CHECKING:
    from mtl.registry import Registry
    from mtl.tasks.base import TaskType


def option_keys(values: Mapping[str, Any], task_types: Registry[TaskType]) -> Iterator[str]:
    """Yield the dotted keys of options of what a configuration chooses.

    Args:
        values: What was composed, which may be wrong in any place.
        task_types: The registered task types.
    """
    from mtl.data.mixing import MIXERS
    from mtl.training.balancing import BALANCINGS
    from mtl.training.balancing.checks import AUTO, BALANCED
    from mtl.trunk.tuning import TUNINGS

    tasks = values.get("tasks")
    for name, task in tasks.items() if isinstance(tasks, Mapping) else ():
        kind = task.get("type") if isinstance(task, Mapping) else None
        if isinstance(kind, str) and kind in task_types:
            found = task_types.get(kind)
            yield from dotted_keys(found.Options, prefix=f"tasks.{name}.options.")
            yield from dotted_keys(found.HeadOptions, prefix=f"tasks.{name}.head.")
    registries: dict[str, Registry[Any]] = {
        "mixing": MIXERS,
        "balancing": BALANCINGS,
        "tuning": TUNINGS,
    }
    for group, registry in registries.items():
        section = values.get(group)
        chosen = section.get("name") if isinstance(section, Mapping) else None
        if (group, chosen) == ("balancing", AUTO):
            chosen = BALANCED
        if isinstance(chosen, str) and chosen in registry:
            own = registry.options(chosen)
            if own is not None:
                yield from dotted_keys(own, prefix=f"{group}.options.")
