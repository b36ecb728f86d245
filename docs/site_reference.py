"""Pages of the reference that are made from the code: keys, choices, task types, commands."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import typer
import yaml

from mtl.cli.app import build
from mtl.config.groups import Groups
from mtl.config.schema import Config
from mtl.config.section import MISSING, Section, Values
from mtl.data.mixing import MIXERS
from mtl.data.readers.base import FORMATS
from mtl.inference.registered import options, task_types
from mtl.registry import Registry
from mtl.shipped import CONF
from mtl.training.balancing import BALANCINGS

BALANCING = (
    "How the tasks' losses become one update; each is described in [Balancing](../balancing.md)."
)
MIXING = "How much of each task an epoch holds; see [Mixing](../mixing.md)."


def write_reference(folder: Path) -> None:
    """Write the pages of a folder anew."""
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = folder / f"{name}.md", "\n".join(make()) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def key_page() -> Iterator[str]:
    """Yield the page of all keys, a table for each section."""
    yield "# Every key"
    yield ""
    yield "What can stand on the command line or in a YAML file, with its default. `???`: has to be"
    yield "given."
    yield from _keys(Config, "")


def _keys(section: type[Section], prefix: str) -> Iterator[str]:
    """Yield a section's table and, after it, those of the sections within."""
    inner: list[tuple[type[Section], str]] = []
    rows: list[tuple[str, str, str]] = []
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        own = _section(field.annotation)
        if own is None:
            default = field.get_default(call_default_factory=True)
            rows.append((key, _default(default), field.description or ""))
        elif get_origin(field.annotation) is dict:
            inner.append((own, f"{key}.NAME."))
        elif get_origin(field.annotation) is list:
            rows.append((key, "[]", f"{field.description or ''} Each has the keys below."))
            inner.append((own, f"{key}[N]."))
        else:
            inner.append((own, f"{key}."))
    yield ""
    yield f"## {prefix.rstrip('.') or 'At the top'}"
    yield ""
    yield (section.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    yield ""
    yield from _table(("key", "default", "meaning"), rows)
    for own, deeper in inner:
        yield from _keys(own, deeper)


def _section(annotation: Any) -> type[Section] | None:
    """Return the section that an annotation is of, or a list or mapping of it."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) in (dict, list, types.UnionType):
        return next((s for a in get_args(annotation) if (s := _section(a))), None)
    return None


def _default(value: object) -> str:
    if value is None:
        return ""
    shown = value if value == MISSING else yaml.safe_dump(value, default_flow_style=True)
    return f"`{str(shown).removesuffix('...' + chr(10)).strip()}`"


def choice_page() -> Iterator[str]:
    """Yield the page of the files of ``conf/``, and of what is registered with options."""
    yield "# Choices"
    yield ""
    yield "`GROUP=CHOICE` on the command line takes `conf/GROUP/CHOICE.yaml`."
    groups = Groups([CONF])
    for group in groups.names:
        yield ""
        yield f"## {group}"
        yield ""
        rows = [(name, _comment(CONF / group / f"{name}.yaml")) for name in groups.choices(group)]
        yield from _table(("choice", "what it is"), rows)
    for title, about, registry in (
        ("balancing.options", BALANCING, BALANCINGS),
        ("mixing.options", MIXING, MIXERS),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield about
        yield ""
        yield from _registered(registry)
    yield ""
    yield "## data.format"
    yield ""
    yield f"{', '.join(f'`{name}`' for name in FORMATS)}; see [Your own data](../data.md)."


def _comment(path: Path) -> str:
    """Return the comment at a file's top, without the command that it may end with."""
    lines = [line.lstrip("# ").rstrip() for line in _head(path) if "@package" not in line]
    return " ".join(lines).partition("python train.py")[0].partition("MTL_DATA=")[0].strip()


def _head(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line


def _registered(registry: Registry[Any]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    for name in registry:
        own = registry.options(name)
        found = options(own) if own else []
        rows += [(name, o["name"], _default(o["default"]), o["help"]) for o in found]
    yield from _table(("choice", "option", "default", "meaning"), rows)


def task_type_page() -> Iterator[str]:
    """Yield the page of task types."""
    yield "# Task types"
    yield ""
    yield "`type:` of a task's YAML; `mtl tasks` prints the same."
    for kind in task_types():
        yield ""
        yield f"## {kind['type']}"
        yield ""
        yield kind["summary"]
        yield ""
        yield from _table(("column", "needed", "what it is"), list(_roles(kind)))
        yield ""
        yield from _metrics(kind)
        for title in ("head", "options"):
            rows = [(o["name"], _default(o["default"]), o["help"]) for o in kind[title]]
            if rows:
                yield ""
                yield from _table((f"{title}.", "default", "meaning"), rows)


def _roles(kind: Values) -> Iterator[tuple[str, str, str]]:
    for role in (*kind["inputs"], *kind["targets"]):
        learned = " (what is learned)" if role in kind["targets"] else ""
        yield role["name"], "yes" if role["required"] else "", f"{role['help']}{learned}"


def _metrics(kind: Values) -> Iterator[str]:
    found = kind["problems"] or {"": kind["metrics"]}
    for problem, metrics in found.items():
        of = f" of `options.problem={problem}`" if problem else ""
        names = ", ".join(f"`{name}`" for name in metrics)
        yield f"Metrics{of}, the primary one first: {names}."
        yield ""


def command_page() -> Iterator[str]:
    """Yield the page of the commands."""
    yield "# Commands"
    app = typer.main.get_command(build())
    yield from _commands(app, "mtl")


def _commands(command: click.Command, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner:
        for key, one in inner.items():
            yield from _commands(one, f"{name} {key}")
        return
    yield ""
    yield f"## {name}"
    yield ""
    yield (command.help or "").replace("<", "&lt;").replace("*", r"\*")
    yield ""
    rows = []
    for one in command.params:
        shown = " ".join([*one.opts[:1], one.metavar or ""]).strip()
        if one.param_type_name == "argument":
            shown = one.metavar or one.name or ""
        rows.append((shown, getattr(one, "help", None) or ""))
    yield from _table(("option", "meaning"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield a Markdown table; first cells are code."""
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for first, *rest in rows:
        cells = [f"`{first}`", *rest]
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Return a text as a table has it: what looks like a tag is escaped, but in code."""
    found = " ".join(text.split()).replace("|", r"\|")
    return re.sub(r"(`+.+?`+)|<", lambda part: part[1] or "&lt;", found)


def python_page() -> Iterator[str]:
    """Yield the page of classes and functions for Python."""
    yield "# Python"
    yield ""
    yield "What a program, or a package that extends `mtl`, may build on."
    for title, names in PYTHON.items():
        yield ""
        yield f"## {title}"
        for name in names:
            kind = "class" if name.rpartition(".")[2][0].isupper() else "function"
            yield ""
            yield "```{eval-rst}"
            yield f".. auto{kind}:: {name}"
            yield from ["   :members:", "```"] if kind == "class" else ["```"]


PYTHON = {
    "Using a model": [
        "mtl.inference.opening.load",
        "mtl.inference.texts.Predictor",
        "mtl.inference.texts.TextResult",
        "mtl.tasks.results.Entity",
    ],
    "Training a model": ["mtl.cli.notebook.train", "mtl.cli.notebook.Run"],
    "A task type": ["mtl.tasks.base.Task", "mtl.types.Encoded", "mtl.types.Examples"],
    "A head": ["mtl.heads.base.Head", "mtl.heads.base.LinearHead"],
    "Training": [
        "mtl.training.balancing.base.Balancing",
        "mtl.data.mixing.Mixer",
        "mtl.config.section.Section",
    ],
    "Names, and errors": ["mtl.registry.Registry", "mtl.errors.MtlError", "mtl.errors.Problem"],
}
PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "python": python_page,
    "keys": key_page,
    "choices": choice_page,
    "task-types": task_type_page,
    "commands": command_page,
}
"""The pages, in the order of the table of contents."""
