"""Single heads as transformers' own classes have them, a file for each of these classes."""

from __future__ import annotations

import importlib
import pkgutil

from mtl.export.heads.base import HEADS as HEADS
from mtl.export.heads.base import HeadClass as HeadClass

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
