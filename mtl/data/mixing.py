"""How much of each task enters an epoch, and how that follows the course of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from mtl.config.schema import MixingConfig
from mtl.config.section import Field, Number, Section
from mtl.registry import Registry

Mixer = Callable[[Mapping[str, int]], dict[str, int]]

MIXERS: Registry[Callable[[Any], Mixer]] = Registry("mixing.name", "mtl.mixing")
"""Name to a function that returns ``sizes -> examples per epoch``, of the section ``mixing``, or of
the method's own options where it is registered with some."""


class Moment(NamedTuple):
    """Where in a run shares are asked for."""

    progress: float = 0.0
    """From 0 in the first epoch to 1 in the last."""
    scores: Mapping[str, float] = {}
    """Each task's primary metric at the latest validation; empty before the first."""


class Changing(ABC):
    """A mixer whose shares change in the course of a run."""

    follows_scores = False
    """Whether they follow validations: then they change after each, not after an epoch."""

    def __call__(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the shares of the first epoch."""
        return self.at(sizes, Moment())

    @abstractmethod
    def at(self, sizes: Mapping[str, int], moment: Moment) -> dict[str, int]:
        """Return how many examples of each task an epoch at some moment has.

        Args:
            sizes: Of the tasks that are trained then.
            moment: Where the run is.
        """


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


class AnnealedOptions(Section):
    """Options of ``annealed``."""

    final: Number = Field(0.2, ge=0, le=1)
    """The exponent of sizes in the last epoch: 0 is uniform, 1 proportional."""


@MIXERS.register("annealed", AnnealedOptions)
class Annealed(Changing):
    """Shares of size ** a, where a falls from 1 in the first epoch to `final` in the last.

    Stickland and Murray 2019 (PALs, section 4.1): large tasks first, all tasks alike in the end.
    """

    def __init__(self, options: AnnealedOptions) -> None:
        self.final = options.final

    def at(self, sizes: Mapping[str, int], moment: Moment) -> dict[str, int]:
        """Return the shares of an epoch."""
        power = 1 - (1 - self.final) * moment.progress
        return _share(sizes, {t: float(n > 0) and n**power for t, n in sizes.items()})


class DynamicOptions(Section):
    """Options of ``dynamic``."""

    targets: dict[str, Annotated[Number, Field(gt=0, le=1)]] = {}
    """By task: the score that it is to reach, such as what it reaches alone; 1 where unset."""
    least: Number = Field(0.1, ge=0, le=1)
    """The smallest share, as a part of an equal one, so that no task is forgotten."""


@MIXERS.register("dynamic", DynamicOptions)
class Dynamic(Changing):
    """Shares by how far the latest validation's scores are below what they are to reach.

    Gottumukkala et al. 2020 (Dynamic Sampling Strategies for Multi-Task Reading Comprehension).
    Proportional before the first validation.
    """

    follows_scores = True

    def __init__(self, options: DynamicOptions) -> None:
        self.options = options

    def at(self, sizes: Mapping[str, int], moment: Moment) -> dict[str, int]:
        """Return the shares after a validation."""
        if not moment.scores:
            return dict(sizes)
        target = self.options.targets
        gaps = {t: max(0.0, target.get(t, 1.0) - moment.scores.get(t, 0.0)) for t in sizes}
        whole = sum(gaps[t] for t in sizes if sizes[t]) or 1.0
        least = self.options.least / max(1, sum(n > 0 for n in sizes.values()))
        shares = {t: max(gaps[t] / whole, least) if n else 0.0 for t, n in sizes.items()}
        if not any(shares.values()):  # All are where they are to be.
            return dict(sizes)
        return _share(sizes, shares)


def _share(sizes: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Split the sum of `sizes` by `weights`; at least one example of every task that has any."""
    total, whole = sum(sizes.values()), sum(weights.values()) or 1.0
    return {t: max(1, round(total * weights[t] / whole)) if sizes[t] else 0 for t in sizes}


def apportion(total: int, weights: Mapping[str, float], least: int = 1) -> dict[str, int]:
    """Split a whole number by weights, by largest remainders (Hamilton's method).

    Args:
        total: What is split, at least `least` for each weight that is not 0.
        weights: By task.
        least: What each task with a weight gets at any rate.
    """
    low: set[str] = set()
    free = {t: w for t, w in weights.items() if w > 0}
    while True:
        rest, whole = total - least * len(low), sum(free.values())
        below = [t for t, w in free.items() if rest * w / whole < least]
        if not below:
            break
        low.update(below)
        free = {t: w for t, w in free.items() if t not in low}
        if not free:
            rest = 0
            break
    exact = {t: rest * w / whole for t, w in free.items()}
    found = {t: int(exact[t]) if t in exact else least * (t in low) for t in weights}
    by_remainder = sorted(exact, key=lambda t: int(exact[t]) - exact[t])
    for task in by_remainder[: total - sum(found.values())]:
        found[task] += 1
    return found
