"""Where text for people goes: results to standard output, notices to standard error.

So ``mtl predict`` can print JSON and nothing else on standard output, whatever there is to say
beside it.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from rich.console import Console

from mtl.errors import printable
from mtl.secrets import mask

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


@functools.cache
def console(*, stderr: bool = False) -> Console:
    """Return the process's one console; text is shown as it is, without markup or emoji codes.

    Args:
        stderr: The one for what stands beside the results.
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def note(text: str) -> None:
    """Print a one-line notice on standard error, once for all ranks.

    A live progress bar moves down for it; lines are not wrapped, so that they can be copied.
    """
    if is_rank_zero():
        print(mask(printable(" ".join(text.split()))), file=sys.stderr, flush=True)


def is_rank_zero() -> bool:
    """Return whether this process is the first of its run; needs no library that knows ranks."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def draws(target: Console) -> bool:
    """Return whether a console can redraw what it shows: a terminal, and no simple one.

    Variables such as ``FORCE_COLOR`` colour a log file; they must not fill it with bars.
    """
    return target.file.isatty() and not target.is_dumb_terminal


def short_path(path: Path) -> str:
    """Return a path relative to the current folder if it is below it, else absolute."""
    here = Path.cwd()
    path = path.absolute()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
