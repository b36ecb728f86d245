"""The configuration that a run keeps in its folder."""

from __future__ import annotations

from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from mtl.config.compose import checked
from mtl.config.hydra_errors import yaml_problem
from mtl.config.schema import Config
from mtl.errors import CheckpointError, ConfigError, Place, Problem, meant_folder

HYDRA = ".hydra"
"""Folder of a run that holds its configuration."""


def saved_file(folder: Path) -> Path:
    """Return the file of a run's configuration."""
    return folder / HYDRA / "config.yaml"


def saved_cfg(folder: Path) -> DictConfig:
    """Return what Hydra composed for a run.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"Expected '{folder}' to be a run, but there is no such folder.{meant_folder(folder)}"
        )
    file = saved_file(folder)
    try:
        cfg = OmegaConf.load(file)
    except yaml.YAMLError as error:
        raise CheckpointError(yaml_problem(error)) from error
    except (UnicodeDecodeError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        found = f"it cannot be read: {reason}"
        if isinstance(error, FileNotFoundError):
            found = "there is no such file"
        problem = Problem(Place(file), "a run's configuration", found)
        raise CheckpointError(problem) from error
    if not isinstance(cfg, DictConfig) or not cfg:
        got = "got a list" if cfg else "it is empty"
        raise CheckpointError(Problem(Place(file), "a run's configuration", got))
    return cfg


def saved_config(folder: Path) -> Config:
    """Return the configuration of a run.

    Raises:
        CheckpointError: If the file cannot be read, or holds another configuration.
    """
    cfg = saved_cfg(folder)
    try:
        return checked(cfg)
    except ConfigError as error:
        raise CheckpointError(f"{saved_file(folder)}: {error}") from error
