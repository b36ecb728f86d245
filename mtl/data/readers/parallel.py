"""Parallel files: line n of one belongs to line n of the others, a role each.

As SNIPS has them, ``{tokens: seq.in, labels: seq.out}``::

    play Ines Talbot        O B-artist I-artist
    book a table            O O O
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from mtl.data.readers.base import Cells, Source
from mtl.data.readers.text import lines
from mtl.data.rows import Role
from mtl.errors import DataError, Place, Problem

_Line = tuple[int, str]
_ENDINGS = {
    "tokens": ("seq.in", "src", "source", "text", "text.txt"),
    "text": ("seq.in", "src", "source", "text", "text.txt"),
    "tags": ("seq.out",),
    "label": ("label", "labels", "labels.txt"),
    "labels": ("label", "labels", "labels.txt"),
    "texts": ("tgt", "target"),
}
"""How the names of parallel files end, by the type of the role that they hold."""


def parallel_files(folder: Path, before: str, roles: Sequence[Role]) -> dict[str, str]:
    """Return the file of each required role; nothing if one has none, or there is but one.

    Args:
        folder: Where the files are.
        before: What their names begin with, such as ``train.``.
        roles: What a task wants.
    """
    found: dict[str, str] = {}
    for role in roles:
        names = (f"{before}{ending}" for ending in _ENDINGS.get(role.type, ()))
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if role.required and file is not None:
            found[role.name] = str(file)
        elif role.required:
            return {}
    return found if len(set(found.values())) > 1 else {}


def beside(file: Path, roles: Sequence[Role]) -> dict[str, str]:
    """Return the files of all roles, if a file is one of parallel files that are all there."""
    for ending in {ending for endings in _ENDINGS.values() for ending in endings}:
        if file.name.endswith(ending):
            found = parallel_files(file.parent, file.name.removesuffix(ending), roles)
            if str(file) in found.values():
                return found
    return {}


def read_parallel(files: Mapping[str, Path], source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each line; one that is blank in all files is counted and left out.

    Args:
        files: The file of each role.
        source: What is wanted; its columns are the roles.

    Raises:
        DataError: If one file has more lines than another.
    """
    opened = [lines(replace(source, path=path)) for path in files.values()]
    blank: list[int] = []
    for number, found in enumerate(zip_longest(*opened), start=1):
        if None in found:
            _check_ends(source, list(files.values()), opened, number, found)
            return
        texts = [line.rstrip("\r\n") for _, line in found]
        if not any(text.strip() for text in texts) and not source.dialect.keep_blank:
            blank.append(number)
            continue
        while blank:  # Those at the end of the files are no rows.
            source.count(blank.pop(0), "blank row", "left out")
        yield number, dict(zip(files, texts, strict=True))


def _check_ends(
    source: Source,
    paths: Sequence[Path],
    opened: Sequence[Iterator[_Line]],
    number: int,
    found: Sequence[_Line | None],
) -> None:
    """Refuse files of which one goes on with more than blank lines where another has ended."""
    counts = []
    for rest, line in zip(opened, found, strict=True):
        last = number - 1
        for at, text in [*([line] if line else []), *rest]:
            last = at if text.strip() else last
        counts.append(last)
    if len(set(counts)) > 1:
        least, most = counts.index(min(counts)), counts.index(max(counts))
        raise DataError(
            Problem(
                Place(paths[least]),
                f"{counts[most]:,} lines, as '{paths[most]}' has",
                f"got {counts[least]:,}",
                "Line n of one file belongs to line n of the other: find the line that is missing.",
            )
        )
