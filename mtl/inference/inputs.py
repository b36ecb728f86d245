"""What ``mtl predict`` and ``mtl evaluate --data`` read: files in any format of training.

For predictions a ``.txt`` file is a text a line; standard input is that too, or JSON lines.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtl.data.readers import FORMATS, read_split
from mtl.data.readers.base import Column, Dialect, Source
from mtl.data.readers.compressed import ending_of
from mtl.data.readers.files import find, format_of, specific
from mtl.data.readers.jsons import BROKEN
from mtl.data.readers.split import Check
from mtl.data.readers.table import make_rows
from mtl.data.readers.text import lines
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError, one_of
from mtl.inference.bad_rows import ID, KEY, Aligned, Marked, Strict
from mtl.inference.columns import fit, header, merged_roles
from mtl.tasks import Task
from mtl.tasks.base import row_check
from mtl.types import Row

STDIN = "-"
STDIN_NAME = "standard input"
LINES = "txt"
"""The format of a text a line."""

USUAL = (Role("text", "text", help="the text"), Role("tokens", "tokens", help="the words"))

ByTask = Mapping[str, Mapping[str, Column]]


@dataclass(frozen=True)
class File:
    """A file that the command line names.

    Args:
        pattern: A path or glob.
        option: The option that named it, for messages.
        format: A name in :data:`mtl.data.readers.base.FORMATS`; guessed when None.
        encoding: Of text files.
        notes: What the user should know of it is added here.
        title: What messages call it, where the pattern says nothing to the user.
        on_bad_row: What is done with rows to predict that cannot be read: ``mark`` keeps their
            places, ``skip`` leaves them out, ``error`` stops at the first.
    """

    pattern: str
    option: str
    format: str | None = None
    encoding: str = "utf-8"
    notes: list[str] = field(default_factory=list)
    title: str = ""
    on_bad_row: str = "error"

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title or self.pattern

    def source(
        self, path: Path, roles: Sequence[Role] = (), columns: Mapping[str, Column] | None = None
    ) -> Source:
        """Return one of its files as readers take it."""
        return Source(
            path,
            tuple(roles),
            dict(columns or {}),
            encoding=self.encoding,
            section="",
            title=self.title,
        )

    def read(
        self,
        columns: Mapping[str, Column],
        roles: Sequence[Role],
        format: str,
        check: Check | None = None,
        bad_rows: BadRows | None = None,
    ) -> Rows:
        """Return its rows, put right or refused by `check`; blank ones are rows if any may be."""
        return read_split(
            self.pattern,
            columns=columns,
            roles=roles,
            bad_rows=Strict(section="") if bad_rows is None else bad_rows,
            dialect=Dialect(keep_blank=bad_rows is not None),
            split=self.option.strip("-"),
            format=format,
            header=self._header(columns, roles) if format in ("csv", "tsv") else None,
            encoding=self.encoding,
            key=self.option,
            check=check,
            title=self.title,
            notes=self.notes,
        )

    def _header(self, columns: Mapping[str, Column], roles: Sequence[Role]) -> bool | None:
        """Return whether columns have names, so that no advice on numbers is given."""
        needed = [columns.get(role.name) for role in roles if role.required]
        return True if any(isinstance(column, str) for column in needed) else None


def read_labelled(file: File, task: Task, own: Mapping[str, Column]) -> Rows:
    """Read a file with targets for one task.

    Args:
        file: What to read.
        task: Whose roles are read.
        own: Role to column, as in training.

    Raises:
        MtlError: If the file cannot be read, or has not what the task needs.
    """
    roles = task.roles(task.options)
    first = find(file.pattern, file.option)[0]
    known = {role.name: own[role.name] for role in roles if role.name in own}
    format = format_of(file.source(first, roles, known), file.format)
    names = header(file.source(first), format)
    columns = fit(names, [role.name for role in roles], {task.name: own})
    check, rules = row_check(task)
    rows = file.read(columns, roles, format, check)
    file.notes.extend(rules.notes())
    return rows


def read_inputs(file: File, tasks: Sequence[Task], columns: ByTask) -> Sequence[Row]:
    """Read what is to be predicted; all of it, so that a fault shows before the first answer.

    Args:
        file: What to read; ``-`` is standard input.
        tasks: Whose inputs are read.
        columns: By task: role to column, as in training.

    Returns:
        Rows with ``text`` or ``tokens`` or both, and ``key`` where there is a column ``id``; those
        that cannot be read, where they are marked, with the reason in their place.

    Raises:
        MtlError: If the file cannot be read, or has no text.
    """
    if file.pattern != STDIN:
        return _read_inputs(file, file.format or _by_ending(file), tasks, columns)
    with tempfile.TemporaryDirectory(prefix="mtl-stdin-") as folder:
        spool = Path(folder) / "stdin"
        with spool.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        if not spool.stat().st_size:
            raise DataError(f"{file.option}: Expected rows, but {STDIN_NAME} is empty.")
        copy = replace(file, pattern=str(spool), title=STDIN_NAME)
        return _read_inputs(copy, file.format or _by_content(copy), tasks, columns)


def _read_inputs(file: File, format: str, tasks: Sequence[Task], columns: ByTask) -> Sequence[Row]:
    """Return the rows of a file, marked or left out where they cannot be read."""
    if file.on_bad_row == "error":
        return _read_rows(file, format, tasks, columns, Strict(section=""))
    bad = Marked()
    rows = _read_rows(file, format, tasks, columns, bad)
    if not bad.marks:
        return rows
    file.notes.append(bad.told(file.on_bad_row))
    return rows if file.on_bad_row == "skip" else Aligned(rows, bad.marks)


def _read_rows(
    file: File,
    format: str,
    tasks: Sequence[Task],
    columns: ByTask,
    bad: Marked | Strict,
) -> Rows:
    if format != LINES and format not in FORMATS:
        raise ConfigError(one_of("--format", format, [LINES, *FORMATS]))
    paths = find(file.pattern, file.option)
    if format == LINES:
        return _text_lines(file, paths, bad)
    given = (role for task in tasks for role in task.roles(task.options) if not role.target)
    wanted = merged_roles(given)
    roles = merged_roles([*wanted.values(), *USUAL])
    names = header(file.source(paths[0]), format)
    chosen = fit(names, roles, columns)
    main = _main(names, chosen, format)
    column = chosen.get(main, main)
    by_number = format == "conll" or isinstance(column, int)
    if not by_number and column not in names:
        column = main  # The message names the column that every run reads.
    others = {r: c for r, c in chosen.items() if r in wanted and (by_number or isinstance(c, str))}
    return file.read(
        others | {main: column, KEY.name: ID},
        [*(replace(role, required=role.name == main) for role in roles.values()), KEY],
        format,
        bad.count if isinstance(bad, Marked) else None,
        bad,
    )


def _main(names: Sequence[str], chosen: Mapping[str, Column], format: str) -> str:
    """Return the role that every row must have: the text, or the words where there is none."""
    if format == "conll":
        return "tokens"
    return next((role.name for role in USUAL if chosen.get(role.name) in names), "text")


def _text_lines(file: File, paths: Sequence[Path], bad: Marked | Strict) -> Rows:
    """Read a text a line; blank lines are bad rows."""

    def texts() -> Iterator[Row]:
        for path in paths:
            source = replace(file.source(path), bad_rows=bad)
            blank: list[int] = []
            for number, line in lines(source):
                text = line.rstrip("\r\n")
                if not text.strip():
                    blank.append(number)
                    continue
                while blank:  # Those at the end of a file are no rows.
                    source.reject(blank.pop(0), "Expected a text, but the line is blank", "")
                if isinstance(bad, Marked):
                    bad.read += 1
                yield {"text": text, "_file": source.name, "_line": number, "_id": str(number)}

    rows = make_rows(texts(), USUAL[:1])
    if not len(rows):
        raise DataError(
            f"{file.title or paths[0]}: Expected a text a line, but got empty lines only."
        )
    return rows


def _by_ending(file: File) -> str:
    ending = ending_of(Path(file.pattern))
    known = {e: name for name in FORMATS for e in FORMATS.get(name).endings} | {".txt": LINES}
    if ending not in known:
        raise ConfigError(
            f"Expected `{file.option}` to end in one of {{{', '.join(sorted(known))}}}, but got "
            f"'{file.pattern}'; say what it is with `--format`."
        )
    paths = find(file.pattern, file.option)
    return specific(file.source(paths[0]), known[ending])


def _by_content(file: File) -> str:
    """Return ``jsonl`` if the first line is a JSON object, else ``txt``."""
    found = lines(file.source(Path(file.pattern)))
    first = next((line for _, line in found if line.strip()), "")
    try:
        return "jsonl" if isinstance(json.loads(first), dict) else LINES
    except BROKEN:
        return LINES
