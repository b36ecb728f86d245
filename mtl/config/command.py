"""From a command line to a run, a resumed run or a sweep, and from errors to an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from mtl.config.arguments import Arguments, parse_arguments
from mtl.config.groups import Groups
from mtl.config.help import help_text
from mtl.config.joint import join_tasks
from mtl.config.schema import Config
from mtl.errors import EXIT_CODE, ConfigError, Interrupted, MtlError, ProcessError, printable
from mtl.launch.agree import Refused, from_first, speaks
from mtl.launch.place import is_first
from mtl.secrets import mask

CRASHED, INTERRUPTED = 1, 130

Train = Callable[[Config, Path], dict[str, float]]


def run_command(argv: Sequence[str], train: Train, conf: Path) -> int:
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
        print(help_text(Groups(folders)), end="")
    elif arguments.worker:
        return _work(arguments.worker, train)
    elif not _resume(arguments, train, folders):
        return _compose_and_run(arguments, train, folders)
    return 0


def _work(folder: Path, train: Train) -> int:
    """Be one of the processes of a run that another process has composed."""
    from mtl.config.validate import from_plain
    from mtl.launch.worker import work

    return work(folder, lambda config, run_dir: train(from_plain(config), run_dir))


def _resume(arguments: Arguments, train: Train, folders: list[Path]) -> bool:
    from mtl.config.resume import AUTO, load_run, resumed_run

    if not (found := resumed_run(arguments.overrides)):
        return False
    if arguments.multirun:
        raise ConfigError("Expected resume=RUN without -m: a sweep cannot be resumed.")
    if found[0] == AUTO:
        return _begin_or_go_on(arguments, found[1], train, folders)
    cfg, folder = load_run(*found)
    train(cfg, folder)
    return True


def _begin_or_go_on(
    arguments: Arguments, overrides: list[str], train: Train, folders: list[Path]
) -> bool:
    """Continue the run that this very command line began; False if it is to be begun."""
    from mtl.config.compose import compose_checked
    from mtl.config.resume import begin_again, has_checkpoint, load_same

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
        joined = join_tasks(overrides, False, Groups(folders).choices("task"))
        asked = compose_checked(joined, folders).config
        train(load_same(folder, asked, overrides), folder)
        return True
    if is_first():
        begin_again(folder)
    return False


def _compose_and_run(arguments: Arguments, train: Train, folders: list[Path]) -> int:
    import yaml

    from mtl.config.compose import compose_checked, run_folder, search_path
    from mtl.config.folders import to_plain
    from mtl.config.overrides import open_keys
    from mtl.config.processes import check_no_launcher

    groups = Groups(folders)
    overrides = join_tasks(arguments.overrides, arguments.multirun, groups.choices("task"))
    composed = compose_checked(overrides, folders, arguments.multirun)
    if composed.config.resume:
        raise ConfigError("Expected `resume` on the command line, but it is set in a file.")
    typed = [*open_keys(overrides), *search_path(folders[1:])]
    if arguments.cfg == "job" and not arguments.package:
        print(yaml.safe_dump(to_plain(composed.config), sort_keys=False), end="")
        return 0
    if shown := arguments.shown():
        _call_hydra([*shown, *typed], lambda cfg: None, folders[0])
        return 0
    if composed.multirun:
        check_no_launcher()
        return _sweep(composed.sweep_dir, typed, train, folders[0])
    _run(composed.run_dir or run_folder(typed, folders[0]), typed, train, folders[0])
    return 0


def _run(path: str, overrides: list[str], train: Train, conf: Path) -> None:
    from mtl.config.folders import prepare_run_dir, release_run_dir
    from mtl.config.jobs import Run

    first = is_first()
    folder = Path(
        from_first(
            "run_dir", lambda: str(_claim(path, "hydra.run.dir", overrides, prepare_run_dir))
        )
    )
    job = Run(train)
    try:
        _call_hydra(_with_dir(overrides, "hydra.run.dir", folder), job, conf)
        if job.error:
            raise job.error
    except MtlError:
        if first:
            release_run_dir(folder)
        raise


def _sweep(path: str, overrides: list[str], train: Train, conf: Path) -> int:
    from mtl.config.folders import prepare_sweep_dir
    from mtl.config.jobs import Job

    folder = _claim(path, "hydra.sweep.dir", overrides, prepare_sweep_dir)
    killed = 0
    try:
        _call_hydra(["-m", *_with_dir(overrides, "hydra.sweep.dir", folder)], Job(train), conf)
    except Exception:  # of the launcher: a job keeps its own
        killed = _killed(folder)
        if not killed:
            raise
    finally:
        code = _summarise(folder)
    if killed:
        raise ProcessError(
            f"Expected every job to end by itself, but {killed} of them did not: a process was "
            "killed, and the launcher ended the sweep; see the table above, and continue a job "
            "that has saved with resume=FOLDER."
        )
    return code


def _killed(sweep_dir: Path) -> int:
    """Return how many jobs of a sweep ended without a word."""
    from mtl.config.jobs import read_outcomes

    return sum(outcome.status == "killed" for outcome in read_outcomes(sweep_dir))


def _summarise(sweep_dir: Path) -> int:
    """Print the table over a sweep's jobs and return the sweep's exit code."""
    from mtl.config.jobs import read_outcomes
    from mtl.config.summary import exit_code, print_summary

    outcomes = read_outcomes(sweep_dir)
    if outcomes:
        print_summary(outcomes, sweep_dir)
    return exit_code(outcomes)


def _claim(path: str, key: str, overrides: list[str], prepare: Callable[[Path], Path]) -> Path:
    """Claim a folder: the very one that was typed, else the first free one of its name."""
    from mtl.config.folders import Occupied, unused

    typed = any(text.startswith(f"{key}=") for text in overrides)
    for candidate in islice(unused(path), 1 if typed else 1000):
        try:
            return prepare(candidate)
        except Occupied:
            if typed:
                raise
    raise ConfigError(f"Expected `{key}` to be free, but {path} and all after it are taken.")


def _with_dir(overrides: list[str], key: str, folder: Path) -> list[str]:
    from hydra.core.override_parser.types import Quote, QuotedString

    quoted = QuotedString(str(folder), Quote.single).with_quotes()
    return [*(text for text in overrides if not text.startswith(f"{key}=")), f"{key}={quoted}"]


def _call_hydra(arguments: list[str], job: Callable[..., Any], conf: Path) -> None:
    import hydra

    from mtl.config.compose import NAME, VERSION
    from mtl.config.hydra_errors import as_config_error
    from mtl.config.store import register

    register()
    main = hydra.main(version_base=VERSION, config_path=str(conf.absolute()), config_name=NAME)
    with as_config_error(), _command_line(arguments):
        main(job)()


@contextmanager
def _command_line(arguments: list[str]) -> Iterator[None]:
    """Let Hydra read these arguments, and raise its errors instead of printing them."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full
