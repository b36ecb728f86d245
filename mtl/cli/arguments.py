"""The options and overrides of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from mtl.errors import ConfigError


@dataclass
class Arguments:
    """What was typed after ``train.py``."""

    overrides: list[str] = field(default_factory=list)
    help: bool = False
    multirun: bool = False
    worker: Path | None = None
    config_dir: list[Path] = field(default_factory=list)
    cfg: str | None = None
    package: str | None = None
    resolve: bool = False
    info: str | None = None

    @property
    def shows(self) -> bool:
        """Whether something is to be shown instead of run."""
        return bool(self.cfg or self.package or self.resolve or self.info)


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message[:1].upper()}{message[1:]}; see `python train.py --help`.")


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Split a command line into options and overrides, in any order.

    Raises:
        ConfigError: If there is no such option.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    for flags in (("-h", "--help"), ("-m", "--multirun"), ("--resolve",)):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("--worker", type=Path)
    parser.add_argument("-cd", "--config-dir", type=Path, action="append", default=[])
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    info = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    parser.add_argument("-i", "--info", nargs="?", const="all", choices=info)
    return Arguments(**vars(parser.parse_intermixed_args(list(argv))))
