"""The errors that a user can cause, as data.

A :class:`Problem` says where (a config key, a file and line), what was expected, what was found and
what to do. It becomes a sentence where it is printed: code that reports several problems, or asks
which key one is about, reads its fields and never its text. Code raises an :class:`MtlError`; the
command line turns it into exit code 2 without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

EXIT_CODE = 2
MANY = 20
"""Of more names than these, a message has the five that are most like what was found."""
FOLDERS = 2_000
"""Of more folders beside a missing one, only so many are compared with it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and a line of it counted from 1; 0 where lines mean nothing."""

    file: str | Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of a user.

    Example:
        >>> print(Problem("trunk.lr", "to be a number at least 0", "got 'fast'"))
        Expected `trunk.lr` to be a number at least 0, but got 'fast'.
        >>> print(Problem(Place("a.csv", 3), "2 columns", "found 3", "Quote the comma."))
        a.csv:3: Expected 2 columns, but found 3. Quote the comma.
    """

    where: str | Place
    """A config key or a command line's option, or a place in a file."""
    expected: str
    """What should stand there: for a key with its verb, such as ``to be a number``."""
    found: str
    """What stands there, with its verb: ``got 'fast'``, ``it is missing``."""
    advice: str = ""
    """What to do, in whole sentences; empty where nothing has to be said."""

    def __str__(self) -> str:
        place = isinstance(self.where, Place)
        lead = f"{self.where}: Expected" if place else f"Expected `{self.where}`"
        sentence = f"{lead} {self.expected}, but {self.found}."
        return f"{sentence} {self.advice}" if self.advice else sentence


class Mismatch(ValueError):
    """A value that is not what was expected, where its reader knows no place: a :class:`Problem`'s.

    Args:
        expected: As for :class:`Problem`.
        found: As for :class:`Problem`.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"Expected {self.expected}, but {self.found}"

    def inside(self, more: str) -> Mismatch:
        """Return it with more said of where it was found: ``in column 'x'``."""
        return Mismatch(self.expected, f"{self.found} {more}")


def as_mismatch(error: Exception, expected: str, found: str = "") -> Mismatch:
    """Return an error as a mismatch: itself, or what another package's error says.

    Args:
        error: Whatever was raised.
        expected: What was, where the error does not say.
        found: What was found there; the error's own words when empty.
    """
    if isinstance(error, Mismatch):
        return error
    return Mismatch(expected, found or f"found {error}".rstrip("."))


class MtlError(Exception):
    """Base of every error that a user's input can cause.

    Args:
        problems: What is wrong, all of it at once; a text is a problem that is only told.
    """

    def __init__(self, *problems: Problem | str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems:\n{lines}"


class ConfigError(MtlError):
    """A key, value or group of the configuration is wrong."""


class DataError(MtlError):
    """A data file is missing, malformed or does not fit its task."""


class CheckpointError(MtlError):
    """A run folder, checkpoint or model folder cannot be used."""


class TrainingError(MtlError):
    """Training cannot go on: a loss is not finite, or memory ran out."""


class ProcessError(Exception):
    """One of the processes of a run crashed, or was ended from outside; no mistake of the user."""


class Interrupted(SystemExit):
    """A signal ended a run, which has saved what it needs to go on; has the exit code."""


def nearest(name: object, known: Iterable[object], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like `name`, or None if none is like it.

    Args:
        name: What was found.
        known: The names that would have been right.
        cutoff: The least likeness, from 0 to 1 (:func:`difflib.SequenceMatcher.ratio`).
    """
    names = [str(other) for other in known]
    found = difflib.get_close_matches(str(name), names, n=1, cutoff=cutoff)
    if not found:  # Capitals alone make two names as unlike as two words.
        lower = {other.lower(): other for other in names}
        found = [
            lower[other]
            for other in difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=cutoff)
        ]
    return found[0] if found else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string."""
    near = nearest(name, known, cutoff=0.5)
    return f" Did you mean '{near}'?" if near is not None else ""


def meant_folder(path: Path) -> str:
    """Return ``" Did you mean 'x'?"`` for the folder most like a missing one, or an empty string.

    Each missing part of the path is compared with the folders that stand in its place.
    """
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        try:
            if (found / part).is_dir():
                found /= part
                continue
            beside = [f.name for f in islice(found.iterdir(), FOLDERS) if f.is_dir()]
        except OSError:
            return ""
        near = nearest(part, beside)
        if near is None:
            return ""
        found /= near
    return f" Did you mean '{found}'?"


def one_of(where: str | Place, name: object, known: Iterable[object]) -> Problem:
    """Return the problem of a name that is not among the known ones.

    Args:
        where: The config key or file that holds the name.
        name: What was found.
        known: The names that would have been right; of very many, the nearest are told.
    """
    names = sorted(str(other) for other in known)
    verb = "" if isinstance(where, Place) else "to be "
    shown = names
    if len(names) > MANY:
        few = difflib.get_close_matches(str(name), names, n=5, cutoff=0.0)
        shown = [*few, f"… ({len(names)} in all)"]
    expected = f"{verb}one of {{{', '.join(shown)}}}"
    found = "got null" if name is None else f"got '{name}'"
    return Problem(where, expected, found, did_you_mean(name, names).strip())


def truth_advice(name: object) -> str:
    """Return what to do about a name that YAML has read as a truth value; empty for another."""
    truth = str(name) in ("True", "False")
    return (
        "YAML reads yes, no, on and off as truth values: put quotes around them." if truth else ""
    )


def few(names: Iterable[object], like: object = "", most: int = 5) -> str:
    """Return some names with commas between them: of many, those that are most like another one."""
    listed = [str(name) for name in names]
    if len(listed) <= most:
        return ", ".join(listed)
    near = difflib.get_close_matches(str(like), listed, n=most, cutoff=0.0)
    return f"{', '.join(near)}, … {len(listed):,} in all"


def printable(error: object) -> str:
    """Return an error's message for a terminal: control characters, but line ends, as escapes.

    A message quotes what stands in a file, which could otherwise move the cursor or write over
    what stands above it.
    """
    return "".join(
        c if c.isprintable() or c in "\n\u00a0" else c.encode("unicode_escape").decode("ascii")
        for c in str(error)
    )
