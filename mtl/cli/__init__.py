"""The command lines: ``python train.py`` in :mod:`mtl.cli.train`, ``mtl`` in :mod:`mtl.cli.app`."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``mtl`` and end the process; see :func:`mtl.cli.app.main`."""
    from mtl.cli.app import main as run

    run(arguments)
