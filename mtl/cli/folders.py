"""Folders of runs and sweeps, each claimed by one of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from mtl.config.saved import HYDRA
from mtl.errors import ConfigError, Problem

SWEEP = "multirun.yaml"


def claim_run(path: str, typed: bool) -> Path:
    """Make a run's folder and claim it, so that no other run writes into it.

    The claim is the creation of ``.hydra`` in it, which only one process can win.

    Args:
        path: The folder.
        typed: Whether it must be this very one; else the first free one of ``path-2``, ``path-3``
            and so on will do.

    Returns:
        The absolute folder.

    Raises:
        ConfigError: If it cannot be written, or holds a run already; nothing is left behind.
    """
    return _free(path, typed, "hydra.run.dir", lambda folder: (folder / HYDRA).mkdir())


def claim_sweep(path: str, typed: bool) -> Path:
    """Make a sweep's folder and claim it; see :func:`claim_run`."""
    mark = lambda folder: (folder / SWEEP).touch(exist_ok=False)  # noqa: E731
    return _free(path, typed, "hydra.sweep.dir", mark)


def _free(path: str, typed: bool, key: str, mark: Callable[[Path], None]) -> Path:
    for number in range(1, 2 if typed else 1001):
        try:
            return _claim(Path(path if number == 1 else f"{path}-{number}"), key, mark)
        except Occupied:
            if typed:
                raise
    raise ConfigError(f"Expected `{key}` to be free, but {path} and all after it are taken.")


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


def _claim(path: Path, key: str, mark: Callable[[Path], None]) -> Path:
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
    expected = "to be a folder that can be written"
    return ConfigError(Problem(key, expected, f"got {path} ({reason})", "Choose another."))
