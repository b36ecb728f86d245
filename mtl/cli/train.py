"""``python train.py``: from a command line to a run, a resumed run or a sweep, and an exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mtl.config.groups import Groups
from mtl.errors import (
    EXIT_CODE,
    ConfigError,
    Interrupted,
    MtlError,
    Problem,
    ProcessError,
    printable,
)
from mtl.launch.agree import Refused, speaks
from mtl.launch.importing import importing
from mtl.launch.place import is_first
from mtl.secrets import mask
from mtl.shipped import CONF, WORKER, program

if TYPE_CHECKING:
    from mtl.config.compose import Composed
    from mtl.config.schema import Config

CRASHED, INTERRUPTED = 1, 130

Train = Callable[["Config", Path], dict[str, float]]


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
        raise ConfigError(f"{message[:1].upper()}{message[1:]}; see `{program()} --help`.")


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


def train(cfg: Config, run_dir: Path) -> dict[str, float]:
    """Train in a folder and return metrics; imports the heavy libraries only now.

    A run of several processes is started here, unless a launcher has started them.
    """
    from mtl.launch.processes import leave_group, own_processes, train_in_processes

    if own_processes(cfg) > 1:
        return train_in_processes(cfg, run_dir, WORKER)
    with importing("mtl.training.run"):
        from mtl.training.run import train as train_here

    metrics = train_here(cfg, run_dir)
    leave_group()
    return metrics


def main(argv: Sequence[str], train: Train = train, conf: Path = CONF) -> int:
    """Do what a command line asks for; the process boundary.

    A user's error is one message on standard error, without a traceback.

    Args:
        argv: What was typed after ``train.py``.
        train: Trains from a configuration in a folder and returns metrics.
        conf: The project's configuration folder.

    Returns:
        The exit code: 0, 1 after a crash, 2 after a user's error, 128 and the signal's number
        after a signal: 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1.
    """
    try:
        return _dispatch(parse_arguments(argv), train, conf)
    except MtlError as error:
        if not isinstance(error, Refused) and speaks():
            print(f"error: {mask(printable(error))}", file=sys.stderr)
        return EXIT_CODE
    except ProcessError as error:
        print(f"error: {error}", file=sys.stderr)
        return CRASHED
    except KeyboardInterrupt:
        return _interrupted()
    except Interrupted as stop:  # has said how to go on
        return int(str(stop.code))
    except SystemExit as stop:  # Lightning turns an interrupt into an exit
        if isinstance(stop.__context__, KeyboardInterrupt):
            return _interrupted()
        raise
    except Exception:
        traceback.print_exc()
        return CRASHED


def _interrupted() -> int:
    print("interrupted", file=sys.stderr)
    return INTERRUPTED


def _dispatch(arguments: Arguments, train: Train, conf: Path) -> int:
    folders = [conf, *arguments.config_dir]
    if arguments.help:
        from mtl.cli.help import help_text

        print(help_text(Groups(folders)), end="")
    elif arguments.worker:
        return _work(arguments.worker, train)
    elif not _resume(arguments, train, folders):
        return begin(arguments, train, folders)
    return 0


def check(argv: Sequence[str], conf: Path = CONF) -> None:
    """Compose what a command line asks for, and do nothing with it.

    Raises:
        MtlError: What beginning it would say.
    """
    arguments = parse_arguments(argv)
    _compose(arguments, [conf, *arguments.config_dir])


def _work(folder: Path, train: Train) -> int:
    """Be one of the processes of a run that another process has composed."""
    from mtl.config.schema import Config
    from mtl.config.section import read
    from mtl.launch.worker import work

    return work(folder, lambda config, run_dir: train(read(Config, config), run_dir))


def _resume(arguments: Arguments, train: Train, folders: list[Path]) -> bool:
    """Continue a run if the command line says so."""
    from mtl.cli.resume import AUTO, load_run, resumed_run

    if not (asked := resumed_run(arguments.overrides)):
        return False
    if arguments.multirun:
        raise ConfigError("Expected resume=RUN without -m: a sweep cannot be resumed.")
    if asked[0] == AUTO:
        return _begin_or_go_on(arguments, asked[1], train, folders)
    train(*load_run(*asked))
    return True


def _begin_or_go_on(
    arguments: Arguments, overrides: list[str], train: Train, folders: list[Path]
) -> bool:
    """Continue the run that this very command line began; False if it is to be begun."""
    from mtl.cli.resume import begin_again, has_checkpoint, load_same

    key = "hydra.run.dir="
    typed = [text.removeprefix(key) for text in overrides if text.startswith(key)]
    if not typed:
        raise ConfigError(
            "Expected `hydra.run.dir` beside resume=auto, which continues the run in that folder, "
            "or begins it; add hydra.run.dir=FOLDER."
        )
    arguments.overrides = overrides
    folder = Path(typed[-1].strip("'\"")).absolute()
    if has_checkpoint(folder):
        train(load_same(folder, _compose(arguments, folders).config, overrides), folder)
        return True
    if is_first():
        begin_again(folder)
    return False


def _compose(arguments: Arguments, folders: list[Path]) -> Composed:
    from mtl.config.compose import compose_checked
    from mtl.config.overrides import join_tasks

    known = Groups(folders).choices("task")
    overrides = join_tasks(arguments.overrides, arguments.multirun, known)
    with importing("mtl.tasks"):
        from mtl.tasks import TASK_TYPES
    return compose_checked(overrides, folders, arguments.multirun, TASK_TYPES)


def begin(arguments: Arguments, train: Train, folders: list[Path]) -> int:
    """Show a configuration, or begin a run or a sweep."""
    composed = _compose(arguments, folders)
    if composed.config.resume:
        raise ConfigError("Expected `resume` on the command line, but it is set in a file.")
    if composed.config.fork.run or composed.config.fork.without:
        expected = "to be unset, because it is what `mtl fork` writes"
        advice = "Fork a run with: mtl fork RUN --without TASK --at-step N"
        raise ConfigError(Problem("fork", expected, "it is given", advice))
    if arguments.shows:
        _show(arguments, composed)
        return 0
    from mtl.cli.jobs import run, sweep

    typed = any(text.startswith(_folder_key(composed)) for text in arguments.overrides)
    if composed.multirun:
        return sweep(composed, train, typed)
    run(composed, train, typed)
    return 0


def _folder_key(composed: Composed) -> str:
    return f"hydra.{'sweep' if composed.multirun else 'run'}.dir="


def _show(arguments: Arguments, composed: Composed) -> None:
    """Print what Hydra's options ask for."""
    import yaml

    from mtl.config.compose import NAME
    from mtl.config.hydra_errors import as_config_error

    hydra, mode = composed.hydra, composed.cfg.hydra.mode
    if arguments.cfg == "job" and not arguments.package:
        print(yaml.safe_dump(composed.config.model_dump(), sort_keys=False), end="")
        return
    with as_config_error():
        if arguments.cfg:
            package, resolve = arguments.package, arguments.resolve
            hydra.show_cfg(NAME, composed.typed, arguments.cfg, package, resolve)
        else:
            hydra.show_info(arguments.info or "all", NAME, composed.typed, mode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
