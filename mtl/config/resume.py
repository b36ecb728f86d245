"""``resume=RUN``: a run's own configuration, past Hydra, so that its ``.hydra`` stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl.config.folders import HYDRA
from mtl.config.hydra_errors import yaml_sentence
from mtl.config.schema import Config
from mtl.config.validate import chosen_only, from_dictconfig
from mtl.errors import CheckpointError, ConfigError

ALLOWED = ("trainer.max_steps", "trainer.max_epochs", "trainer.non_finite")


def resumed_run(overrides: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the run to continue and the other overrides, or None if none is to be.

    Raises:
        ConfigError: If ``resume=`` is given without a folder.
    """
    mine = [text for text in overrides if _key(text) == "resume"]
    if not mine:
        return None
    value = mine[-1].partition("=")[2].strip().strip("'\"")
    if value == "null":
        return None
    if not value:
        raise ConfigError("Expected `resume` to be a run's folder, but got nothing.")
    return value, [text for text in overrides if _key(text) != "resume"]


def load_run(run: str, overrides: Sequence[str]) -> tuple[Config, Path]:
    """Return the configuration to continue a run with, and its folder.

    Args:
        run: The run's folder.
        overrides: What else was typed; only a later end is allowed, and to skip steps.

    Raises:
        CheckpointError: If there is no run.
        ConfigError: If anything else is to change, or the end is to be earlier.
    """
    folder = Path(run).absolute()
    if others := [text for text in overrides if _key(text) not in ALLOWED]:
        raise ConfigError(
            f"Expected only {_listed(ALLOWED)} beside resume={run}, which continues with its own "
            f"configuration, but got {', '.join(f'`{text}`' for text in others)}."
        )
    file = folder / HYDRA / "config.yaml"
    cfg = _load(run, file)
    try:
        own = from_dictconfig(chosen_only(cfg))
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            OmegaConf.update(cfg, override.key_or_group, override.value())
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"Cannot read {' '.join(overrides)}: {error}.") from error
    config = from_dictconfig(chosen_only(cfg))
    _check_end(own, config)
    config.resume = str(folder)
    return config, folder


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:-1]) + f" and `{names[-1]}`"


def _check_end(own: Config, config: Config) -> None:
    """Refuse an earlier end than the run's own."""
    for name in ("max_steps", "max_epochs"):
        before, now = getattr(own.trainer, name), getattr(config.trainer, name)
        if before is not None and now is not None and now < before:
            raise ConfigError(
                f"Expected `trainer.{name}` to be at least the run's own {before}, but got {now}."
            )


def _load(run: str, file: Path) -> DictConfig:
    if not file.parent.parent.is_dir():
        raise CheckpointError(f"Expected `resume` to be a run's folder, but {run} does not exist.")
    if not file.is_file():
        raise CheckpointError(
            f"Expected `resume` to be a run's folder, but {run} has no {HYDRA}/{file.name}."
        )
    try:
        cfg = OmegaConf.load(file)
    except yaml.YAMLError as error:
        raise CheckpointError(yaml_sentence(error)) from error
    except (UnicodeDecodeError, OSError) as error:
        raise CheckpointError(f"{file}: expected a run's configuration, but: {error}.") from error
    if not isinstance(cfg, DictConfig) or not cfg:
        found = "it is empty" if not cfg else "got a list"
        raise CheckpointError(f"{file}: expected a run's configuration, but {found}.")
    return cfg


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0].strip()
