"""The command ``mtl``. Its commands live in :mod:`mtl.cli.verbs`, a file each."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from mtl import __version__
from mtl.cli import verbs
from mtl.errors import EXIT_CODE, MtlError, printable
from mtl.registry import Registry
from mtl.secrets import mask

# Recent Typers have click inside, older ones beside them; both export this child of its error.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


VERBS: Registry[Callable[[typer.Typer], None]] = Registry("mtl command", "mtl.commands")
"""Name to a function that adds a command, or several, to the application."""


def build() -> typer.Typer:
    """Return the application with every command of :mod:`mtl.cli.verbs` and of other packages."""
    app = typer.Typer(
        name="mtl",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for module in pkgutil.iter_modules(verbs.__path__):
        VERBS.register(module.name)(
            importlib.import_module(f"{verbs.__name__}.{module.name}").register
        )
    for name in VERBS:
        VERBS.get(name)(app)
    _set_up(app)
    return app


class _Command(TyperCommand):
    """A command whose help has its options by title, as wide as the terminal has room for.

    Typer's boxes have five columns, which leave descriptions 24 of 80 cells.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's parameters, ``--help`` among them; a flag takes no value."""
        params = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options under the titles of their ``rich_help_panel``."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            name, text = param.get_help_record(ctx)
            if param.param_type_name == "argument":
                sections["Arguments"].append((param.metavar or param.name, text))
            else:
                title = getattr(param, "rich_help_panel", None) or "Options"
                sections.setdefault(title, []).append((name, text))
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _set_up(app: typer.Typer) -> None:
    """Give each command of an application our class, and its first sentence where it is listed."""
    for command in app.registered_commands:
        command.cls = _Command
        about = inspect.getdoc(command.callback) or ""
        command.short_help = about.partition("\n\n")[0].replace("\n", " ")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.typer_instance.info.help
            _set_up(group.typer_instance)


def _version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"mtl {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Use models trained with train.py: one trunk, one head a task, one pass for all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``mtl`` and end the process.

    The boundary where an error that a user caused becomes one line and exit code 2.

    Args:
        arguments: The command line without the program's name; the process's own when None.
    """
    try:
        code = build()(arguments, prog_name="mtl", standalone_mode=False)
    except MtlError as problem:
        _fail(mask(printable(problem)))
    except UsageError as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(f"{problem}\n")
            sys.exit(EXIT_CODE)
        _fail(usage_sentence(problem))
    except typer.Abort:
        sys.exit(1)
    sys.exit(code or 0)


def usage_sentence(problem: Any) -> str:
    """Return what is wrong with a command line in one sentence."""
    command = problem.ctx.command_path if problem.ctx else "mtl"
    text = problem.format_message().strip().rstrip(".")
    return f"{text}{' See' if text.endswith('?') else '; see'} `{command} --help`."


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"error: {sentence}\n")
    sys.exit(EXIT_CODE)
