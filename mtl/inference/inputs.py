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
from functools import partial
from pathlib import Path

from mtl.data.readers import FORMATS, read_split
from mtl.data.readers.base import Dialect, Read, Source
from mtl.data.readers.compressed import ending_of
from mtl.data.readers.files import find, format_of, specific
from mtl.data.readers.folders import class_files, read_document
from mtl.data.readers.jsons import BROKEN
from mtl.data.readers.parallel import beside, read_parallel
from mtl.data.readers.peek import header
from mtl.data.readers.several import Wish, spread
from mtl.data.readers.split import Check
from mtl.data.readers.table import make_rows
from mtl.data.readers.text import lines
from mtl.data.rows import BadRows, Role, Rows
from mtl.errors import ConfigError, DataError, Mismatch, one_of
from mtl.inference.bad_rows import ID, KEY, Aligned, Marked, Strict
from mtl.inference.columns import fit, has, merged_roles
from mtl.inference.forms import UTF8, as_in_training, columns_of, format_by_ending, in_encoding
from mtl.tasks import Task
from mtl.tasks.base import row_check
from mtl.training.description import FilesDescription
from mtl.types import Row

STDIN = "-"
STDIN_NAME = "standard input"
LINES = "txt"
"""The format of a text a line."""

USUAL = (Role("text", "text", help="the text"), Role("tokens", "tokens", help="the words"))

ByTask = Mapping[str, Mapping[str, Wish]]
Kept = Mapping[str, FilesDescription]
"""By task: how the files of its training are written."""


@dataclass(frozen=True)
class File:
    """A file that the command line names.

    Args:
        pattern: A path or glob.
        option: The option that named it, for messages.
        format: A name in :data:`mtl.data.readers.base.FORMATS`; guessed when None.
        encoding: Of text files; training's or UTF-8 when None.
        notes: What the user should know of it is added here.
        title: What messages call it, where the pattern says nothing to the user.
        on_bad_row: What is done with rows to predict that cannot be read: ``mark`` keeps their
            places, ``skip`` leaves them out, ``error`` stops at the first.
        dialect: How cells are written, where it is said.
        header: Whether CSV, TSV or CoNLL files begin with the columns' names, where it is said.
    """

    pattern: str
    option: str
    format: str | None = None
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)
    title: str = ""
    on_bad_row: str = "error"
    dialect: Dialect = field(default_factory=Dialect)
    header: bool | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title or self.pattern

    def source(
        self, path: Path, roles: Sequence[Role] = (), columns: Mapping[str, Wish] | None = None
    ) -> Source:
        """Return one of its files as readers take it."""
        single, roles = spread(columns or {}, roles, "columns")
        return Source(
            path,
            tuple(roles),
            single,
            header=self.header,
            encoding=self.encoding or UTF8,
            section="",
            title=self.title,
            dialect=self.dialect,
        )

    def read(
        self,
        columns: Mapping[str, Wish],
        roles: Sequence[Role],
        format: str | None,
        check: Check | None = None,
        bad_rows: BadRows | None = None,
        files: Sequence[Path] = (),
        reader: Read | None = None,
    ) -> Rows:
        """Return its rows, put right or refused by `check`; blank ones are rows if any may be.

        Where it stands for several `files`, their `reader` is told.
        """
        return read_split(
            files or self.pattern,
            columns=columns,
            roles=roles,
            bad_rows=Strict(section="") if bad_rows is None else bad_rows,
            dialect=replace(self.dialect, keep_blank=bad_rows is not None),
            split=self.option.strip("-"),
            format=format,
            header=self._header(columns, roles, format),
            encoding=self.encoding or UTF8,
            key=self.option,
            check=check,
            title=self.title,
            notes=self.notes,
            read=reader,
        )

    def _header(
        self, columns: Mapping[str, Wish], roles: Sequence[Role], format: str | None
    ) -> bool | None:
        """Return whether columns have names, so that no advice on numbers is given."""
        if self.header is not None or format not in ("csv", "tsv"):
            return self.header
        needed = [columns.get(role.name) for role in roles if role.required]
        return True if any(isinstance(column, str) for column in needed) else None


def read_labelled(
    file: File, task: Task, own: Mapping[str, Wish], kept: FilesDescription | None = None
) -> Rows:
    """Read a file with targets for one task.

    Args:
        file: What to read.
        task: Whose roles are read.
        own: Role to column, as in training.
        kept: How training's files are written.

    Raises:
        MtlError: If the file cannot be read, or has not what the task needs.
    """
    kept = FilesDescription() if kept is None else kept
    roles = task.roles(task.options)
    names = [role.name for role in roles]
    check, rules = row_check(task)
    if (several := _belonging_together(file, roles)) is not None:
        files, own, reader = several
        file = in_encoding(file, files[0], [kept])
        rows = file.read(own, roles, None, check, files=files, reader=reader)
        file.notes.extend(rules.notes())
        return rows
    first = find(file.pattern, file.option)[0]
    known = {role: own[role] for role in names if role in own}
    file = in_encoding(file, first, [kept])
    given = file.format or format_by_ending(first, [kept])
    format = format_of(file.source(first, roles, known), given)
    file = as_in_training(file, format, [kept])
    found = header(file.source(first), format)
    columns = fit(found, names, {task.name: columns_of(file, own, kept, found, names)})
    rows = file.read(columns, roles, format, check)
    file.notes.extend(rules.notes())
    return rows


def _belonging_together(
    file: File, roles: Sequence[Role]
) -> tuple[list[Path], Mapping[str, Wish], Read] | None:
    """Return files that are read as one, their columns and their reader; None for any others.

    They are parallel files, one of which is named, or those of a folder for each class.
    """
    path = Path(file.pattern).expanduser()
    if file.format is not None:
        return None
    if together := {role: Path(one) for role, one in beside(path, roles).items()}:
        told = ", ".join(f"{role}: {one.name}" for role, one in together.items())
        file.notes.append(f"{file.name} is read line by line with the files beside it ({told}).")
        return [path], {role: role for role in together}, partial(read_parallel, together)
    if path.is_dir() and (files := class_files(path)):
        return files, {role.name: role.name for role in roles if role.required}, read_document
    return None


def read_inputs(
    file: File, tasks: Sequence[Task], columns: ByTask, kept: Kept | None = None
) -> Sequence[Row]:
    """Read what is to be predicted; all of it, so that a fault shows before the first answer.

    Args:
        file: What to read; ``-`` is standard input.
        tasks: Whose inputs are read.
        columns: By task: role to column, as in training.
        kept: By task: how training's files are written.

    Returns:
        Rows with ``text`` or ``tokens`` or both, and ``key`` where there is a column ``id``; those
        that cannot be read, where they are marked, with the reason in their place.

    Raises:
        MtlError: If the file cannot be read, or has no text.
    """
    kept = kept or {}
    if file.pattern != STDIN:
        first = find(file.pattern, file.option)[0]
        file = in_encoding(file, first, kept.values())
        format = file.format or _by_ending(file, first, kept)
        return _read_inputs(file, format, tasks, columns, kept)
    with tempfile.TemporaryDirectory(prefix="mtl-stdin-") as folder:
        spool = Path(folder) / "stdin"
        with spool.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        if not spool.stat().st_size:
            raise DataError(f"{file.option}: Expected rows, but {STDIN_NAME} is empty.")
        copy = replace(file, pattern=str(spool), title=STDIN_NAME)
        copy = in_encoding(copy, spool, kept.values())
        return _read_inputs(copy, file.format or _by_content(copy), tasks, columns, kept)


def _read_inputs(
    file: File, format: str, tasks: Sequence[Task], columns: ByTask, kept: Kept
) -> Sequence[Row]:
    """Return the rows of a file, marked or left out where they cannot be read."""
    file = as_in_training(file, format, list(kept.values()))
    if file.on_bad_row == "error":
        return _read_rows(file, format, tasks, columns, kept, Strict(section=""))
    bad = Marked()
    rows = _read_rows(file, format, tasks, columns, kept, bad)
    if not bad.marks:
        return rows
    file.notes.append(bad.told(file.on_bad_row))
    return rows if file.on_bad_row == "skip" else Aligned(rows, bad.marks)


def _read_rows(
    file: File,
    format: str,
    tasks: Sequence[Task],
    columns: ByTask,
    kept: Kept,
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
    of_files = {
        task: columns_of(file, own, kept[task], names, roles) if task in kept else own
        for task, own in columns.items()
    }
    chosen = fit(names, roles, of_files)
    main = _main(names, chosen, format)
    column = chosen.get(main, main)
    by_number = format == "conll" or isinstance(column, int)
    if not by_number and not has(names, column):
        column = main  # The message names the column that every run reads.
    others = {
        r: c for r, c in chosen.items() if r in wanted and (by_number or isinstance(c, str | tuple))
    }
    return file.read(
        others | {main: column, KEY.name: ID},
        [*(replace(role, required=role.name == main) for role in roles.values()), KEY],
        format,
        bad.count if isinstance(bad, Marked) else None,
        bad,
    )


def _main(names: Sequence[str], chosen: Mapping[str, Wish], format: str) -> str:
    """Return the role that every row must have: the text, or the words where there is none."""
    if format == "conll":
        return "tokens"
    return next((role.name for role in USUAL if has(names, chosen.get(role.name, ""))), "text")


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
                    source.reject(blank.pop(0), Mismatch("a text", "the line is blank"), "")
                if isinstance(bad, Marked):
                    bad.read += 1
                yield {"text": text, "_file": source.name, "_line": number, "_id": str(number)}

    rows = make_rows(texts(), USUAL[:1])
    if not len(rows):
        raise DataError(
            f"{file.title or paths[0]}: Expected a text a line, but got empty lines only."
        )
    return rows


def _by_ending(file: File, path: Path, kept: Kept) -> str:
    ending = ending_of(path)
    known = {e: name for name in FORMATS for e in FORMATS.get(name).endings} | {".txt": LINES}
    told = None if ending == ".txt" else format_by_ending(path, kept.values())
    if told is None and ending not in known:
        raise ConfigError(
            f"Expected `{file.option}` to end in one of {{{', '.join(sorted(known))}}}, but got "
            f"'{file.pattern}'; say what it is with `--format`."
        )
    return told or specific(file.source(path), known[ending])


def _by_content(file: File) -> str:
    """Return ``jsonl`` if the first line is a JSON object, else ``txt``."""
    found = lines(file.source(Path(file.pattern)))
    first = next((line for _, line in found if line.strip()), "")
    try:
        return "jsonl" if isinstance(json.loads(first), dict) else LINES
    except BROKEN:
        return LINES
