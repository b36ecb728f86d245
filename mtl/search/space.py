"""What a search varies: Hydra's ranges and choices as Optuna's distributions.

Of ``trunk.lr=tag(log, interval(1e-5, 1e-3)) batching.examples=16,32 task=ner`` the first is a range
of numbers, the second a choice, and the third the same in every trial.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from mtl.config.section import Values
from mtl.errors import ConfigError, Problem

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

REPEATS = re.compile(r"^[+]*(seed|tasks\.[^.]+\.data\.fold)$")
"""Keys that repeat an experiment: the best of them is luck."""


@dataclass(frozen=True)
class Space:
    """What trials share, and what each has of its own."""

    fixed: list[str] = field(default_factory=list)
    """Overrides of every trial."""
    varied: dict[str, BaseDistribution] = field(default_factory=dict)
    """By key, with the signs before it."""

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of the trial with these values."""
        return [*self.fixed, *(f"{key}={_written(params[key])}" for key in self.varied)]

    def propose(self, trial: Trial) -> Values:
        """Return a trial's values, those that it has already and new ones."""
        return {key: _propose(trial, key, one) for key, one in self.varied.items()}

    def signature(self) -> dict[str, str]:
        """Return what makes two searches the same, by key."""
        fixed = (text.partition("=") for text in self.fixed)
        found = {key.lstrip("+"): value for key, _, value in fixed}
        return found | {key.lstrip("+"): str(one) for key, one in self.varied.items()}


def read_space(overrides: Sequence[Override]) -> Space:
    """Sort the overrides of a search; of two of one key the last counts.

    Raises:
        ConfigError: If nothing is varied, or something that cannot be searched.
    """
    space = Space()
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override():
            fixed.pop(key, None)
            space.varied[key] = _distribution(override)
        else:
            space.varied.pop(key, None)
            fixed[key] = override.input_line or ""
    space.fixed.extend(fixed.values())
    if not space.varied:
        advice = "Add a range such as 'trunk.lr=tag(log, interval(1e-5, 1e-3))', or choices."
        raise ConfigError(Problem("hydra.sweeper.params", "to vary something", "got none", advice))
    return space


def _distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution

    key, value = override.key_or_group, override.value()
    if REPEATS.search(key):
        expected = "to be one value in a search, because the best of several is luck"
        advice = "Repeat the best trial with several afterwards."
        found = f"got {override.get_value_string()}"
        raise ConfigError(Problem(key, expected, found, advice))
    if isinstance(value, IntervalSweep):
        return _numbers(key, value.start, value.end, None, set(value.tags))
    if isinstance(value, RangeSweep):
        values = list(value.range())
        if not values:
            raise ConfigError(Problem(key, "to be a range of numbers", "it is empty"))
        step = values[1] - values[0] if len(values) > 1 else None
        return _numbers(key, values[0], values[-1], step, set(value.tags))
    choices = list(dict.fromkeys(override.sweep_string_iterator()))
    return CategoricalDistribution(choices)


def _numbers(key: str, low: Any, high: Any, step: Any, tags: set[str]) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    log = "log" in tags
    if None in (low, high) or low > high or (log and (low <= 0 or step not in (None, 1))):
        kind = "from a smaller to a larger number" + (", both above 0, without steps" * log)
        raise ConfigError(Problem(key, f"to be a range {kind}", f"got {low} to {high}"))
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _propose(trial: Trial, key: str, one: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(one, IntDistribution):
        return trial.suggest_int(key, one.low, one.high, step=one.step, log=one.log)
    if isinstance(one, FloatDistribution):
        return trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)
    assert isinstance(one, CategoricalDistribution)
    return trial.suggest_categorical(key, one.choices)


def _written(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
