"""Folders of runs, and the plain configuration that a run keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtl.config.schema import Config
from mtl.errors import ConfigError

HYDRA = ".hydra"
SWEEP = "multirun.yaml"


def to_plain(cfg: Config) -> dict[str, Any]:
    """Return the configuration as nested dicts, lists, texts, numbers and ``None``."""
    return asdict(cfg)


def prepare_run_dir(path: str | Path) -> Path:
    """Make a run's folder and claim it, so that no other run writes into it.

    The claim is the creation of ``.hydra`` in it, which only one process can win.

    Returns:
        The absolute folder.

    Raises:
        ConfigError: If it cannot be written, or holds a run already; nothing is left behind.
    """
    return _claim(Path(path), "hydra.run.dir", lambda folder: (folder / HYDRA).mkdir())


def prepare_sweep_dir(path: str | Path) -> Path:
    """Make a sweep's folder and claim it; see :func:`prepare_run_dir`."""
    return _claim(
        Path(path), "hydra.sweep.dir", lambda folder: (folder / SWEEP).touch(exist_ok=False)
    )


def unused(path: str | Path) -> Iterator[Path]:
    """Yield the path, then the path with ``-2``, ``-3`` and so on."""
    yield Path(path)
    number = 2
    while True:
        yield Path(f"{path}-{number}")
        number += 1


class Occupied(ConfigError):
    """A folder holds a run or a sweep already."""


def release_run_dir(folder: Path) -> None:
    """Give a folder back after a run that never began, and remove it if nothing is in it."""
    import shutil

    checkpoints = folder / "checkpoints"
    if checkpoints.is_dir() and any(checkpoints.iterdir()):
        return
    shutil.rmtree(folder / HYDRA, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _claim(path: Path, key: str, mark: Any) -> Path:
    if not str(path).strip(" ."):
        raise ConfigError(f"Expected `{key}` to be a new folder, but got '{path}'.")
    folder = path.absolute()
    made = _make(folder, key)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if (folder / HYDRA).exists() or (folder / SWEEP).exists():
            raise FileExistsError
        mark(folder)
    except FileExistsError:
        raise Occupied(
            f"Expected `{key}` to be a new folder, but {path} holds a run or a sweep already;"
            f" continue a run with resume={path}, remove it, or choose another folder."
        ) from None
    except OSError as error:
        for parent in made:
            parent.rmdir()
        raise _unwritable(path, key, error) from error
    return folder


def _make(folder: Path, key: str) -> list[Path]:
    """Make a folder with its parents; return those that are new, the innermost first."""
    new = [p for p in (folder, *folder.parents) if not os.path.lexists(p)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        for parent in new:
            if parent.is_dir():
                parent.rmdir()
        raise _unwritable(folder, key, error) from error
    return new


def _unwritable(path: Path, key: str, error: OSError) -> ConfigError:
    reason = error.strerror or str(error)
    return ConfigError(
        f"Expected `{key}` to be a folder that can be written, but got {path} ({reason});"
        " choose another."
    )
