"""Which files a pattern names, and which format they are in."""

from __future__ import annotations

import glob
from itertools import islice
from pathlib import Path

from mtl.data.readers.base import FORMATS, Source
from mtl.data.readers.compressed import ending_of
from mtl.data.readers.text import lines
from mtl.errors import ConfigError, DataError, Problem, did_you_mean, one_of

_SAMPLE = 200


def find(pattern: str | Path, key: str, base: Path | None = None) -> list[Path]:
    """Return the files that a path or glob names, sorted.

    Args:
        pattern: A path, or a glob (``**`` for any number of folders); a file whose name merely
            looks like a glob is found as it is. A folder is its files of a format that has folders.
        key: The config key that holds it.
        base: The folder that relative paths start from; the current one when ``None``.

    Raises:
        DataError: If there is no such file, or one is a folder or empty.
    """
    path = (base or Path()) / Path(pattern).expanduser()
    if path.exists():
        found = (_in_folder(path) if path.is_dir() else []) or [path]
    else:
        found = [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]
        found = [p for p in found if not p.is_dir()]
    if not found:
        several = glob.has_magic(str(pattern))
        expected, absent = ("files", "none matches") if several else ("a file", "there is none at")
        advice = f"{_nearby(path)}{_listed(pattern, key)}".strip()
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise DataError(Problem(key, f"to name {expected}", f"{absent} '{path}'{where}", advice))
    for file in found:
        _check(file, key)
    return found


def _in_folder(folder: Path) -> list[Path]:
    """Return the files of a folder that are one set of data: texts, each with its marks beside."""
    return sorted(file for end in _folder_endings() for file in folder.rglob(f"*{end}"))


def _folder_endings() -> list[str]:
    """Return the endings of files that stand for a text beside them, and may be empty."""
    return [e for n in FORMATS if (f := FORMATS.get(n)).folders for e in f.endings]


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder '{path.parent}' does not exist." if path.parent != Path() else ""
    return did_you_mean(path.name, (p.name for p in path.parent.iterdir() if p.suffix != ".py"))


def _listed(pattern: str | Path, key: str) -> str:
    """Return how to name several files, if a pattern seems to mean some."""
    names = str(pattern).replace("{", "").replace("}", "")
    if names == str(pattern) and "," not in names:
        return ""
    return f" Several files are named by a glob, or by a list such as `{key}=[a.csv,b.csv]`."


def _check(file: Path, key: str) -> None:
    if file.is_dir():
        advice = (
            f"Name a file in it, or a glob such as '{file}/*.jsonl'; a folder with all splits goes "
            "into `source`."
        )
        raise DataError(Problem(key, "to name a file", f"'{file}' is a folder", advice))
    try:
        size = file.stat().st_size
        file.open("rb").close()
    except OSError as problem:
        found = f"got '{file}': {problem}"
        raise DataError(Problem(key, "to name a file that can be read", found)) from None
    if not size and file.suffix not in _folder_endings():
        raise DataError(Problem(key, "to have rows", f"the file '{file}' is empty"))


def format_of(source: Source, given: str | None) -> str:
    """Return the name of a file's format: as given, by its ending, else by what it looks like.

    For tasks that label words, ``.tsv``, ``.txt`` and unknown endings are columns when they hold
    one word a line; for others they are tab-separated. For tasks that want a text and nothing
    else, ``.txt`` is plain text.

    Raises:
        ConfigError: If the given format is unknown.
    """
    if given is not None:
        if given not in FORMATS:
            raise ConfigError(one_of(f"{source.key('format')}", given, FORMATS))
        return given
    ending = ending_of(source.path)
    known = {e: name for name in FORMATS for e in FORMATS.get(name).endings}
    guess = known.get(ending, "tsv")
    if ending == ".txt" and [r.type for r in source.roles if r.required] == ["text"]:
        return "text"
    claimed = specific(source, guess)
    if claimed != guess:
        return claimed
    words = any(role.type in ("tokens", "tags") for role in source.roles)
    if guess == "tsv" and words and _one_word_a_line(source):
        return "conll"
    return guess


def specific(source: Source, guess: str) -> str:
    """Return the name of the format within `guess` that claims a file, or `guess`."""
    within = (name for name in FORMATS if guess in FORMATS.get(name).within)
    return next((name for name in within if FORMATS.get(name).claims(source)), guess)


def _one_word_a_line(source: Source) -> bool:
    """Whether the first lines look like columns of words, not like sentences with their labels.

    Cells between tabs that hold several words are sentences. Lines without labels are columns
    only if all are of one width; those below the columns' names only if empty lines part them.
    """
    widths = set()
    gaps = blank = False
    for _, line in islice(lines(source), _SAMPLE):
        cells = line.strip().split("\t")
        if len(cells) > 1 and any(" " in cell.strip() for cell in cells):
            return False
        if line.strip():
            widths.add(len(line.split()))
            gaps = gaps or blank
        blank = not line.strip()
    labelled = any(role.type == "tags" for role in source.roles)
    return (labelled or len(widths) == 1) and (gaps or not _has_names(source))


def _has_names(source: Source) -> bool:
    _, first = next(lines(source), (0, ""))
    names = [cell.strip() for cell in first.split("\t")]
    return bool(source.needed) and all(name in names for name in source.needed)
