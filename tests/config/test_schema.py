"""The schema says what the code offers."""

from typing import Any, get_args

import pytest
from omegaconf import OmegaConf

from mtl.config.keys import dotted_keys
from mtl.config.schema import Config, TrunkConfig
from mtl.config.section import check, read
from mtl.errors import ConfigError


def choices(section: Any, name: str) -> set[str]:
    hint = section.model_fields[name].annotation
    return {text for part in (hint, *get_args(hint)) for text in _names(part)}


def _names(hint: Any) -> list[str]:
    return [name for name in get_args(hint) if isinstance(name, str)] + [
        name for part in get_args(hint) for name in get_args(part) if isinstance(name, str)
    ]


def test_defaults_keep_their_own_limits() -> None:
    assert check(Config, Config().model_dump()) == (Config(), [])


def test_hydra_takes_its_defaults() -> None:
    assert OmegaConf.create(Config().model_dump()).trunk.name == "tiny"


def test_round_trip() -> None:
    values = {"tasks": {"ner": {"type": "t", "columns": {"labels": 3}}}, "trunk": {"lr": 1}}
    cfg = read(Config, values)
    assert read(Config, cfg.model_dump()) == cfg


def test_plain_values_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"2 problems:\n.*`trunk.lrr`.*\n.*`seed`"):
        read(Config, {"trunk": {"lrr": 1}, "seed": "x"})


def test_every_key_is_listed_once() -> None:
    keys = dotted_keys(names=("ner",))
    assert len(keys) == len(set(keys))
    assert {"seed", "trunk", "trunk.lr", "tasks.ner.data.train", "optimizer.betas"} <= set(keys)
    assert "tasks.data" not in keys


def test_names_are_those_of_the_registries() -> None:
    from mtl.trunk.load import BUILDERS

    assert choices(TrunkConfig, "name") == set(BUILDERS)
