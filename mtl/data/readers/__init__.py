"""Files become rows: one module a format, one function for all of them, :func:`read_split`."""

from mtl.data.readers import conll, delimited, folders, jsons, plain, squad, typed
from mtl.data.readers.base import FORMATS
from mtl.data.readers.split import read_split

__all__ = [
    "FORMATS",
    "conll",
    "delimited",
    "folders",
    "jsons",
    "plain",
    "read_split",
    "squad",
    "typed",
]
