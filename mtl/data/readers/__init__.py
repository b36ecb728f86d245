"""Files become rows: one module a format, one function for all of them, :func:`read_split`."""

from mtl.data.readers import (
    brat,
    cluener,
    conll,
    delimited,
    doccano,
    folders,
    jsons,
    label_studio,
    plain,
    prodigy,
    spacy_docs,
    spacy_json,
    squad,
    typed,
    xlsx,
)
from mtl.data.readers.base import FORMATS
from mtl.data.readers.split import read_split

__all__ = [
    "FORMATS",
    "brat",
    "cluener",
    "conll",
    "delimited",
    "doccano",
    "folders",
    "jsons",
    "label_studio",
    "plain",
    "prodigy",
    "read_split",
    "spacy_docs",
    "spacy_json",
    "squad",
    "typed",
    "xlsx",
]
