"""How an answer differs from the right one: how wrong it is, of which kind, and how it looks.

One file for each form of answer, found by registration.
"""

import importlib
import pkgutil

from mtl.reporting.mistakes.base import COMPARISONS, Block, Comparison, Judged, Piece, comparison_of

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["COMPARISONS", "Block", "Comparison", "Judged", "Piece", "comparison_of"]
