"""mtl: one pretrained trunk, a head for each task, one pass for all of them.

What is for use in Python is imported when it is asked for, so that ``import mtl`` takes no time::

    predictor = mtl.load("outputs/run")
    run = mtl.train(["task=ner,sentiment"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl.cli.notebook import Run, train
    from mtl.errors import CheckpointError, ConfigError, DataError, MtlError, TrainingError
    from mtl.inference.opening import load
    from mtl.inference.texts import FileReport, Predictor, TextResult
    from mtl.tasks.results import Entities, Entity, Result

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Entities",
    "Entity",
    "FileReport",
    "MtlError",
    "Predictor",
    "Result",
    "Run",
    "TextResult",
    "TrainingError",
    "__version__",
    "load",
    "train",
]
_HOMES = {
    "mtl.cli.notebook": ("Run", "train"),
    "mtl.errors": ("CheckpointError", "ConfigError", "DataError", "MtlError", "TrainingError"),
    "mtl.inference.opening": ("load",),
    "mtl.inference.texts": ("FileReport", "Predictor", "TextResult"),
    "mtl.tasks.results": ("Entities", "Entity", "Result"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from where it lives."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'mtl' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
