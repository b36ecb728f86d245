"""Whether a file's first line names its columns, though the columns are given by number.

The names are known where they are those that such columns usually have, or count from 0, as
pandas writes them::

    text,label          0,1
    Good,pos            Good,pos
"""

from __future__ import annotations

from collections.abc import Sequence

from mtl.data.readers.base import Source
from mtl.data.rows import Role

USUAL = frozenset(
    name
    for names in (
        "text texts sentence sentences review content document body title comment tweet message",
        "utterance query question context passage answer answers summary target reference",
        "label labels class classes category categories topic sentiment intent emotion gold",
        "score rating stars polarity tag tags ner ner_tag ner_tags pos_tag upos xpos chunk",
        "token tokens word words form lemma id idx index dialogue",
    )
    for name in names.split()
)
"""Names that columns usually have, in small letters."""


def is_usual(cell: str, roles: Sequence[Role] = ()) -> bool:
    """Whether a cell is a name that a column usually has, or that of a role."""
    name = cell.strip().lower().replace(" ", "_").strip("#_")
    return name in USUAL or name in {role.name for role in roles}


def begins_with_names(source: Source, line: int, cells: Sequence[str]) -> bool:
    """Return whether a first row names columns that are given by number; said where it does.

    Raises:
        DataError: If it may as well be a row: only some of the wanted cells are usual names.
        ConfigError: If a number that is no column's is a name there.
    """
    names = [cell.strip() for cell in cells]
    check_numbers(source, names)
    roles = {role.name: role for role in source.roles}
    wanted = {
        name: names[column]
        for name, column in source.columns.items()
        if isinstance(column, int) and -len(names) <= column < len(names) and name in roles
    }
    digits = all(cell.isdecimal() for cell in wanted.values())
    if not wanted or not (digits or all(map(_may_name, wanted.values()))):
        return False
    usual = [is_usual(cell, source.roles) for cell in wanted.values()]
    if all(usual) or _counts(names):
        told = source.told(source.key("header"))
        source.say(f"line {line} holds the columns' names and is no row{told}")
        return True
    wordy = any(roles[name].type == "text" for name in wanted)
    strange = any(roles[name].type == "number" and _no_number(c) for name, c in wanted.items())
    if (any(usual) or strange or (digits and wordy)) and not source.section:
        source.say(f"line {line}, which may hold the columns' names, is read as a row")
    elif any(usual) or strange or (digits and wordy):
        raise source.fail(
            line,
            "a row",
            f"found what may be names of columns: {', '.join(names[:5])}",
            f"Set `{source.key('header')}=true` if they are, or `{source.key('header')}=false` "
            "if this is a row.",
        )
    return False


def check_numbers(source: Source, names: Sequence[str]) -> None:
    """Refuse a column's number that is none, but a name among those of the first line.

    Raises:
        ConfigError: If there is one.
    """
    for role, column in source.columns.items():
        beyond = isinstance(column, int) and not -len(names) <= column < len(names)
        if beyond and str(column) in names:
            key = source.column_key(role)
            raise source.refuse_column(
                role,
                f"to be a column's number below {len(names)}",
                f"got {column}, which is a name in {source.name}",
                f"Put names of digits in quotes: \"{key}='{column}'\".",
            )


def _counts(names: Sequence[str]) -> bool:
    """Whether names are 0, 1, 2, …, maybe after one of an index, which is empty."""
    own = names[1:] if names and not names[0] else names
    return bool(own) and list(own) == [str(number) for number in range(len(own))]


def _may_name(cell: str) -> bool:
    return 0 < len(cell) <= 40 and len(cell.split()) <= 3 and cell[-1] not in ".!?…\"'"


def _no_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False
