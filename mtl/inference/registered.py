"""What is registered, for ``mtl tasks``: task types with what they read, learn and can be told."""

from __future__ import annotations

import inspect
from pathlib import Path

import yaml

from mtl.config.section import Section, Values
from mtl.data.rows import Role
from mtl.shipped import program
from mtl.tasks import TASK_TYPES, Task
from mtl.tasks._text_problems import PROBLEMS


def task_types() -> list[Values]:
    """Return every task type as JSON values, by name."""
    return [describe(name, TASK_TYPES.get(name)) for name in TASK_TYPES]


def describe(name: str, kind: type[Task]) -> Values:
    """Return one task type as JSON values.

    Args:
        name: What ``type:`` in a task's YAML says.
        kind: The class.
    """
    roles = kind.roles()
    problem = kind.Options.model_fields.get("problem")
    problems = sorted(PROBLEMS, key=lambda name: name != problem.default) if problem else []
    return {
        "type": name,
        "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
        "inputs": [_role(role) for role in roles if not role.target],
        "targets": [_role(role) for role in roles if role.target],
        "metrics": list(kind.metric_names),
        "lower_is_better": sorted(kind.traits.lower_is_better),
        "problems": {p: list(PROBLEMS.get(p).metric_names) for p in problems},
        "head": options(kind.HeadOptions),
        "options": options(kind.Options),
    }


def _role(role: Role) -> Values:
    return {"name": role.name, "required": role.required, "help": role.help}


def options(section: type[Section]) -> list[Values]:
    """Return a section's fields with their defaults and what they mean, in one line each."""
    return [
        {
            "name": name,
            "default": field.get_default(call_default_factory=True),
            "help": " ".join((field.description or "").replace("``", "").split()),
        }
        for name, field in section.model_fields.items()
    ]


def shipped_tasks(folder: Path) -> list[dict[str, str]]:
    """Return the tasks that a folder of YAML files describes; none if there is no such folder.

    The comments at a file's top are a question that the task answers and a command.

    Args:
        folder: Such as ``conf/task``.
    """
    return [_shipped(path) for path in sorted(folder.glob("*.yaml"))]


def _shipped(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    about = next((c for c in comments if not c.startswith("@package")), "")
    return {
        "task": path.stem,
        "type": str((yaml.safe_load(text) or {}).get("type", "")),
        "about": about.partition("python train.py")[0].strip(),
        "command": f"{program()} task={path.stem}",
    }
