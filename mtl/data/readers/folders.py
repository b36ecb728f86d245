"""A folder for each class: a text in a file of its own, and its folder's name is the label.

::

    train/pos/0001.txt      A warm and funny film.
    train/neg/0002.txt      Two hours that I will not get back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtl.data.readers.base import FORMATS, Cells, Column, Format, Source
from mtl.data.readers.text import whole

UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""Folders of texts without a class, as IMDb has one."""
_LABELS = ("label", "labels")


def read_document(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a file's one row: its text, and the name of its folder.

    Raises:
        ConfigError: If more than a text and a label is required.
    """
    cells: dict[Column, str] = {}
    for role in source.roles:
        column = source.columns.get(role.name)
        if column is None:
            continue
        if role.type == "text":
            cells[column] = whole(source).strip("\r\n")
        elif role.type in _LABELS:
            cells[column] = source.path.parent.name
        elif role.required:
            raise source.refuse_column(
                role.name,
                "to be unset, because a folder for each class has texts and labels only",
                f"got {column!r}",
            )
    yield 1, cells


def class_files(folder: Path) -> list[Path]:
    """Return the files in a folder's folders, sorted; none if it has no folders of files."""
    return sorted(
        file
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.name.startswith((".", "__")) and not is_unlabelled(inner)
        for file in inner.iterdir()
        if file.is_file() and not file.name.startswith(".")
    )


def is_unlabelled(folder: Path) -> bool:
    """Whether a folder's texts have no class, by its name."""
    return folder.name.lower() in UNLABELLED


FORMATS.register("folders")(Format(read_document))
