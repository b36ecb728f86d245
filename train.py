"""Train one trunk with a head for each task: ``python train.py task=ner,sentiment``.

``python train.py --help`` shows what else there is. Hydra composes the configuration from
``conf/``; everything about the command line is in :mod:`mtl.config.command`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mtl.config.command import run_command
from mtl.config.schema import Config
from mtl.launch.importing import importing

SCRIPT = Path(__file__).resolve()
CONF = SCRIPT.parent / "conf"


def train(cfg: Config, run_dir: Path) -> dict[str, float]:
    """Train in a folder and return metrics; imports the heavy libraries only now.

    A run of several processes is started here, unless a launcher has started them.
    """
    from mtl.config.processes import own_processes, train_in_processes

    if own_processes(cfg) > 1:
        return train_in_processes(cfg, run_dir, SCRIPT)
    with importing("mtl.training.run"):
        from mtl.training.run import train as train_in

    return train_in(cfg, run_dir)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    return run_command(sys.argv[1:] if argv is None else argv, train, CONF)


if __name__ == "__main__":
    sys.exit(main())
