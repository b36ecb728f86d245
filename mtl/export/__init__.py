"""A trained model in a folder that other programs open; a file for each format and each head."""

from __future__ import annotations

import importlib
import pkgutil

from mtl.export import formats

for _module in pkgutil.iter_modules(formats.__path__):
    importlib.import_module(f"{formats.__name__}.{_module.name}")
