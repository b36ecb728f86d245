"""Hydra's and OmegaConf's errors in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from mtl.errors import ConfigError, Place, Problem


@contextmanager
def as_config_error() -> Iterator[None]:
    """Raise what Hydra refuses as a ConfigError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(told(error)) from error


def yaml_problem(error: yaml.YAMLError) -> Problem | str:
    """Return where a YAML file is broken, and how."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"Expected YAML, but got: {_line(error).rstrip('.')}."
    what = str(getattr(error, "problem", None) or "a mistake").rstrip(".")
    return Problem(Place(mark.name, mark.line + 1), "YAML", f"reading stopped: {what}")


def told(error: BaseException) -> Problem | str:
    """Return the error's own words in one line, with the key it is about if it knows one."""
    if isinstance(error, yaml.YAMLError):
        return yaml_problem(error)
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    parts = [_line(error)] if str(error) else []
    if cause is not None and _line(cause) not in parts:
        parts.append(_line(cause))
    key = getattr(cause or error, "full_key", None)
    text = ": ".join(part.rstrip(".:") for part in parts) or type(error).__name__
    where = f"`{key}`: " if key and key not in text else ""
    return f"{where}{text}."


def _line(error: BaseException) -> str:
    """Return a message without its advice, its address and OmegaConf's list of internals."""
    lines = []
    for line in str(error).splitlines():
        if line.startswith(("    full_key", "    object_type", "    reference_type", "See http")):
            break
        if line.strip():
            lines.append(line.strip())
    return " ".join(lines)
