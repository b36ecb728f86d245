"""Task types: where text, head and metrics meet. One file each, found by registration."""

import importlib
import pkgutil

from mtl.tasks.base import TASK_TYPES, Task

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["TASK_TYPES", "Task"]
