"""Two processes of a run, forked from one that has imported what each of them needs.

They find each other as under ``torchrun``, and are processes in all else: a start costs a tenth of
a second instead of the six that PyTorch, Lightning and transformers take to import, twice a run.
How a run starts, ends and heals its processes is not in it: :mod:`tests.launch` has that.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

from tests.ports import reserved_port
from tests.training.processes import ROOT

LIMIT = 300
"""Seconds."""


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.preloaded"])
    return context


def two_ranks(*argv: str) -> CompletedProcess[str]:
    """Run ``train.py`` in two processes, and return how the first ended and what both said."""
    return fork(_train, list(argv))


def fork(work: Callable[..., Any], *arguments: Any) -> CompletedProcess[str]:
    """Do something in two processes at once.

    Args:
        work: A function of a module; a number that it returns is the exit code.
        arguments: Of `work`.

    Returns:
        The exit code of the first process, unless it is 0: then the other's. Output is that of
        both, one after the other.
    """
    with TemporaryDirectory() as folder, reserved_port() as port:
        known = {**os.environ, **_variables(port)}
        running = [
            _context().Process(target=_rank, args=(rank, folder, known, work, arguments))
            for rank in (0, 1)
        ]
        for process in running:
            process.start()
        for process in running:
            process.join(LIMIT)
            if process.is_alive():
                process.kill()
                process.join()
        out, err = (
            "".join((Path(folder) / f"{rank}.{name}").read_text() for rank in (0, 1))
            for name in ("out", "err")
        )
        code = running[0].exitcode or running[1].exitcode
    return CompletedProcess(list(map(str, arguments)), code or 0, out, err)


def _variables(port: int) -> dict[str, str]:
    """Return what torchrun tells its processes, but for their ranks."""
    return {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "tests",
        "OMP_NUM_THREADS": "1",
    }


def _rank(
    rank: int,
    folder: str,
    known: dict[str, str],
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.clear()
    os.environ.update(known, RANK=str(rank), LOCAL_RANK=str(rank))
    os.chdir(ROOT)
    for number, name in ((1, "out"), (2, "err")):
        with (Path(folder) / f"{rank}.{name}").open("w") as file:
            os.dup2(file.fileno(), number)
    sys.exit(work(*arguments))


def _train(argv: list[str]) -> int:
    from mtl.cli.train import main

    return main(argv)
