"""Plain text: a document a block, blocks apart by blank lines.

Two documents as they stand in a file, the first of two paragraphs::

    Rain had closed the north road again.
    By noon the post van had turned back.

    The library will open on Sundays from May.
"""

from __future__ import annotations

from collections.abc import Iterator

from mtl.data.readers.base import FORMATS, Cells, Columns, Format, Source
from mtl.data.readers.text import lines


def read_text(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each block: its first line's number, and its lines joined by newlines."""
    block: list[str] = []
    number = 0
    for number, line in lines(source):
        if line.strip():
            block.append(line.rstrip("\r\n"))
        elif block:
            yield number - len(block), {0: "\n".join(block)}
            block = []
    if block:
        yield number - len(block) + 1, {0: "\n".join(block)}


def fit_columns(source: Source) -> Columns:
    """Return the one column there is for the role that is a text, whatever it is called.

    Raises:
        ConfigError: If another column is asked for by number, or a role of another type is
            required.
    """
    kinds = {role.name: role for role in source.roles}
    fitted: Columns = {}
    for name, column in source.columns.items():
        role = kinds[name]
        if role.type == "text" and (column in (0, -1) or isinstance(column, str)):
            fitted[name] = 0
        elif role.required:
            raise source.refuse_column(
                name,
                f"to be unset, because {source.path.name} is read as plain text",
                f"got {column!r}",
                f"Mend the column, or set `{source.key('format')}`.",
            )
    return fitted


FORMATS.register("text")(Format(read_text, fit=fit_columns))
