"""The schema says what the code offers."""

from dataclasses import fields
from typing import Any

import pytest
from omegaconf import OmegaConf

from mtl.config.build import build
from mtl.config.folders import to_plain
from mtl.config.schema import Config, DataConfig, MixingConfig, TrunkConfig
from mtl.config.validate import from_plain
from mtl.errors import ConfigError


def choices(cls: Any, name: str) -> set[str]:
    return set(next(field for field in fields(cls) if field.name == name).metadata["choices"])


def test_defaults_keep_their_own_limits() -> None:
    assert build(Config, to_plain(Config())) == (Config(), [])


def test_is_a_structured_config() -> None:
    assert OmegaConf.structured(Config).trunk.name == "tiny"


def test_round_trip() -> None:
    cfg = from_plain(
        {"tasks": {"ner": {"type": "t", "columns": {"labels": 3}}}, "trunk": {"lr": 1}}
    )
    assert from_plain(to_plain(cfg)) == cfg


def test_plain_values_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"2 problems:\n.*`trunk.lrr`.*\n.*`seed`"):
        from_plain({"trunk": {"lrr": 1}, "seed": "x"})


def test_names_are_those_of_the_registries() -> None:
    from mtl.data.mixing import MIXERS
    from mtl.data.readers import FORMATS
    from mtl.trunk.load import BUILDERS

    assert choices(MixingConfig, "name") == set(MIXERS)
    assert choices(DataConfig, "format") == set(FORMATS)
    assert choices(TrunkConfig, "name") == set(BUILDERS)
