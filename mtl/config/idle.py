"""Keys of methods that were set although another method was chosen, which does not read them."""

from __future__ import annotations

from mtl.config.schema import Config

_LOW_RANK = ("lora", "rslora", "dora", "adalora")
_ADAPTERS = (*_LOW_RANK, "ia3", "vera")
READ_BY: dict[str, dict[str, tuple[str, ...]]] = {
    "tuning": {
        "layers": ("last",),
        "unfreeze_every": ("gradual",),
        "rank": (*_LOW_RANK, "vera"),
        "alpha": _LOW_RANK,
        "dropout": (*_LOW_RANK, "vera"),
        "target_modules": _ADAPTERS,
        "feedforward_modules": ("ia3",),
        "initial_rank": ("adalora",),
        "rank_warmup": ("adalora",),
        "rank_settled": ("adalora",),
        "rank_every": ("adalora",),
        "orthogonality": ("adalora",),
        "cache": ("frozen",),
        "cache_dir": ("frozen",),
    },
    "mixing": {"temperature": ("temperature",)},
}
"""By group and key: the methods of this package that read it."""


def idle_lines(config: Config) -> list[str]:
    """Return a sentence for the keys of each group that were set and have no effect.

    Methods of other packages may read any key, and nothing is said of them.
    """
    own = {
        "tuning": {"full", "frozen", *(n for names in READ_BY["tuning"].values() for n in names)},
        "mixing": {"proportional", "uniform", "temperature", "annealed", "dynamic"},
    }
    lines = []
    for group, keys in READ_BY.items():
        section = getattr(config, group)
        if section.name not in own[group]:
            continue
        usual = type(section)()
        idle: dict[tuple[str, ...], list[str]] = {}
        for key, names in keys.items():
            if section.name not in names and getattr(section, key) != getattr(usual, key):
                idle.setdefault(names, []).append(f"{group}.{key}")
        for names, found in idle.items():
            have = "has" if len(found) == 1 else "have"
            lines.append(
                f"{' and '.join(found)} {have} no effect with {group}={section.name}, but with "
                f"{group}={' or '.join(names)}."
            )
    return lines
