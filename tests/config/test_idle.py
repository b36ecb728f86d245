"""What was set for another method is said, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from mtl.config.idle import READ_BY, idle_lines
from mtl.config.schema import Config, MixingConfig, TuningConfig
from mtl.data.mixing import MIXERS
from mtl.trunk.tuning import TUNINGS


@pytest.mark.parametrize(
    ("tuning", "mixing", "said"),
    [
        ({}, {}, []),
        ({"name": "lora", "rank": 4, "target_modules": ["q_proj"]}, {}, []),
        ({"name": "frozen", "cache": "false"}, {"name": "temperature", "temperature": 5}, []),
        ({"name": "another", "rank": 4}, {"name": "another", "temperature": 5}, []),
        (
            {"target_modules": ["q_proj"]},
            {},
            [
                "tuning.target_modules has no effect with tuning=full, but with tuning=lora or "
                "rslora or dora or adalora or ia3 or vera."
            ],
        ),
        (
            {"name": "lora", "initial_rank": 20, "rank_every": 5},
            {"temperature": 5},
            [
                "tuning.initial_rank and tuning.rank_every have no effect with tuning=lora, but "
                "with tuning=adalora.",
                "mixing.temperature has no effect with mixing=proportional, but with "
                "mixing=temperature.",
            ],
        ),
    ],
)
def test_keys_of_other_methods(
    tuning: dict[str, Any], mixing: dict[str, Any], said: list[str]
) -> None:
    config = Config(tuning=TuningConfig(**tuning), mixing=MixingConfig(**mixing))
    assert idle_lines(config) == said


def test_methods_and_keys_are_there() -> None:
    registries: dict[str, Any] = {"tuning": TUNINGS, "mixing": MIXERS}
    for group, keys in READ_BY.items():
        assert keys.keys() <= type(getattr(Config(), group)).model_fields.keys()
        assert all(name in registries[group] for names in keys.values() for name in names)
