"""Files become rows: one module a format, one function for all of them, :func:`read_split`."""

from mtl.data.readers import arrow, conll, delimited, jsons, parquet, plain, squad
from mtl.data.readers.base import FORMATS
from mtl.data.readers.split import read_split

__all__ = [
    "FORMATS",
    "arrow",
    "conll",
    "delimited",
    "jsons",
    "parquet",
    "plain",
    "read_split",
    "squad",
]
