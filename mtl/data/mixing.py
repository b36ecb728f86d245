"""How much of each task enters an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mtl.config.schema import MixingConfig
from mtl.registry import Registry

Mixer = Callable[[Mapping[str, int]], dict[str, int]]

MIXERS: Registry[Callable[[Any], Mixer]] = Registry("mixing.name", "mtl.mixing")
"""Name to a function that returns ``sizes -> examples per epoch``, of the section ``mixing``, or of
the method's own options where it is registered with some."""


@MIXERS.register("proportional")
def proportional(options: MixingConfig) -> Mixer:
    """Every example of every task once an epoch."""
    del options
    return dict


@MIXERS.register("uniform")
def uniform(options: MixingConfig) -> Mixer:
    """The same number of examples of every task; small tasks repeat, large ones take turns."""
    del options
    return lambda sizes: _share(sizes, {t: float(n > 0) for t, n in sizes.items()})


@MIXERS.register("temperature")
def by_temperature(options: MixingConfig) -> Mixer:
    """Shares of size ** (1 / temperature): 1 is proportional, large values approach uniform.

    Devlin et al. 2019 (multilingual BERT) smooth languages so; Raffel et al. 2020 (T5, section
    3.5.2) smooth tasks so.
    """
    return lambda sizes: _share(
        sizes, {t: n ** (1.0 / options.temperature) for t, n in sizes.items()}
    )


def _share(sizes: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Split the sum of `sizes` by `weights`; at least one example of every task that has any."""
    total, whole = sum(sizes.values()), sum(weights.values()) or 1.0
    return {t: max(1, round(total * weights[t] / whole)) if sizes[t] else 0 for t in sizes}
