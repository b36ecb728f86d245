"""``mtl tasks``: the task types that are registered, and the tasks that come with the project."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from mtl.cli.options import AsJson
from mtl.shipped import CONF, program

if TYPE_CHECKING:
    from mtl.config.section import Values

WIDTH = 80

Rows = Sequence[tuple[str, str]]


def register(app: typer.Typer) -> None:
    """Add ``mtl tasks``."""
    app.command("tasks")(tasks)


def tasks(
    as_json: AsJson = False,
) -> None:
    """List task types with what they read, their metrics and options, and the tasks at hand."""
    from mtl.inference.registered import shipped_tasks, task_types

    found = {"types": task_types(), "tasks": shipped_tasks(CONF / "task")}
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for kind in found["types"]:
        sys.stdout.write("\n".join(type_lines(kind)) + "\n\n")
    sys.stdout.write("\n".join(task_lines(found["tasks"])) + "\n")


def type_lines(kind: Values) -> Iterator[str]:
    """Yield the lines on one task type; the metric named first is the primary one by default."""
    yield f"type: {kind['type']}"
    yield from _wrapped("", kind["summary"], 2)
    metrics = kind["problems"] or {"": kind["metrics"]}
    sections: dict[str, Rows] = {
        "columns": [
            *((role["name"], _about(role)) for role in kind["inputs"]),
            *((role["name"], f"{_about(role)}; what is learned") for role in kind["targets"]),
        ],
        "metric": [(name and f"problem: {name}", _marked(m)) for name, m in metrics.items()],
        "head": [(_setting(o), o["help"]) for o in kind["head"]],
        "options": [(_setting(o), o["help"]) for o in kind["options"]],
    }
    for title, rows in sections.items():
        yield f"  {title}:" if rows else f"  {title}: none"
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            yield from _wrapped(f"{name:<{width}}  " if width else "", text, 4)


def task_lines(tasks: Sequence[dict[str, str]]) -> Iterator[str]:
    """Yield a paragraph on the tasks that come with the project."""
    if not tasks:
        yield "No conf/task/ beside the package: the tasks of YAML files are not listed."
        return
    yield f"Tasks of conf/task/, alone or together ({program()} task=ner,sentiment):"
    width = max(len(task["command"]) for task in tasks)
    for task in tasks:
        text = f"{task['type']}. {task['about']}"
        yield from _wrapped(f"{task['command']:<{width}}  ", text, 2)


def _about(role: Values) -> str:
    return role["help"] if role["required"] else f"{role['help']}; may be missing"


def _marked(names: Sequence[str]) -> str:
    return ", ".join([f"{names[0]} (when unset)", *names[1:]])


def _setting(option: Values) -> str:
    return f"{option['name']}: {json.dumps(option['default']).strip(chr(34))}"


def _wrapped(lead: str, text: str, indent: int) -> list[str]:
    first = " " * indent + lead
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [
        first.rstrip()
    ]
