"""The errors that a user can cause.

Each message is one or two sentences: where (file and line, or config key), what was expected,
what was found, and what to do. Code raises them; :mod:`mtl.cli` and ``train.py`` turn them into
exit code 2 without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 2


class MtlError(Exception):
    """Base of every error that a user's input can cause."""


class ConfigError(MtlError):
    """A key, value or group of the configuration is wrong."""


class DataError(MtlError):
    """A data file is missing, malformed or does not fit its task."""


class CheckpointError(MtlError):
    """A run folder, checkpoint or model folder cannot be used."""


class ProcessError(Exception):
    """One of the processes of a run crashed, or was ended from outside; no mistake of the user."""


class TrainingError(MtlError):
    """Training cannot go on: a loss is not finite, or memory ran out."""


class Interrupted(SystemExit):
    """A signal ended a run, which has saved what it needs to go on; has the exit code."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string.

    Args:
        name: What was found.
        known: The names that would have been right.
    """
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def one_of(where: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not among the known ones.

    Args:
        where: The config key or file that holds the name.
        name: What was found.
        known: The names that would have been right.
    """
    names = sorted(str(k) for k in known)
    options = ", ".join(names)
    near = did_you_mean(name, names)
    return f"Expected `{where}` to be one of {{{options}}}, but got '{name}'.{near}"


def join_problems(problems: list[str]) -> str:
    """Return one message for several problems, a line each, so that all show at once."""
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"  - {p}" for p in problems)
    return f"{len(problems)} problems:\n{lines}"


def printable(error: object) -> str:
    """Return an error's message for a terminal: control characters, but line ends, as escapes.

    A message quotes what stands in a file, which could otherwise move the cursor or write over
    what stands above it.
    """
    return "".join(
        c if c.isprintable() or c in "\n\u00a0" else c.encode("unicode_escape").decode("ascii")
        for c in str(error)
    )
