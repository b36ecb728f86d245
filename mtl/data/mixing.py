"""How much of each task enters an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mtl.registry import Registry

Mixer = Callable[[Mapping[str, int]], dict[str, int]]

MIXERS: Registry[Callable[..., Mixer]] = Registry("mixing.name")
"""Name to a function of the mixing options that returns ``sizes -> examples an epoch``."""


@MIXERS.register("proportional")
def proportional(temperature: float = 1.0) -> Mixer:
    """Every example of every task once an epoch."""
    del temperature
    return dict


@MIXERS.register("uniform")
def uniform(temperature: float = 1.0) -> Mixer:
    """The same number of examples of every task; small tasks repeat, large ones take turns."""
    del temperature
    return lambda sizes: _share(sizes, {t: float(n > 0) for t, n in sizes.items()})


@MIXERS.register("temperature")
def by_temperature(temperature: float = 2.0) -> Mixer:
    """Shares of size ** (1 / temperature): 1 is proportional, large values approach uniform.

    Devlin et al. 2019 (multilingual BERT) smooth languages so; Raffel et al. 2020 (T5, section
    3.5.2) smooth tasks so.
    """
    return lambda sizes: _share(sizes, {t: n ** (1.0 / temperature) for t, n in sizes.items()})


def _share(sizes: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Split the sum of `sizes` by `weights`; at least one example of every task that has any."""
    total, whole = sum(sizes.values()), sum(weights.values()) or 1.0
    return {t: max(1, round(total * weights[t] / whole)) if sizes[t] else 0 for t in sizes}
