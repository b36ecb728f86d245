"""What is registered, for ``mtl tasks``: task types with what they read, learn and can be told."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from mtl.data.rows import Role
from mtl.tasks import TASK_TYPES, Task
from mtl.tasks._problems import PROBLEMS


def task_types() -> list[dict[str, Any]]:
    """Return every task type as JSON values, by name."""
    return [describe(name, TASK_TYPES.get(name)) for name in TASK_TYPES]


def describe(name: str, kind: type[Task]) -> dict[str, Any]:
    """Return one task type as JSON values.

    Args:
        name: What ``type:`` in a task's YAML says.
        kind: The class.
    """
    roles = kind.roles()
    default = next((f.default for f in fields(kind.Options) if f.name == "problem"), None)
    problems = sorted(PROBLEMS, key=lambda p: p != default) if default else []
    return {
        "type": name,
        "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
        "inputs": [_role(role) for role in roles if not role.target],
        "targets": [_role(role) for role in roles if role.target],
        "metrics": list(kind.metric_names),
        "lower_is_better": sorted(kind.lower_is_better),
        "problems": {p: list(PROBLEMS.get(p).metric_names) for p in problems},
        "head": options(kind.HeadOptions),
        "options": options(kind.Options),
    }


def _role(role: Role) -> dict[str, Any]:
    return {"name": role.name, "required": role.required, "help": role.help}


def options(cls: Any) -> list[dict[str, Any]]:
    """Return a dataclass's fields with their defaults and the strings that follow them."""
    said = {k: v for base in reversed(cls.__mro__[:-1]) for k, v in field_docs(base).items()}
    return [
        {
            "name": field.name,
            "default": None if field.default is MISSING else field.default,
            "help": said.get(field.name, ""),
        }
        for field in fields(cls)
    ]


def field_docs(cls: type) -> dict[str, str]:
    """Return the string that follows each annotated field in a class's source, in one line."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(found, ast.ClassDef)
    docs = {}
    for field, after in zip(found.body, found.body[1:], strict=False):
        said = after.value if isinstance(after, ast.Expr) else None
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Constant):
            text = str(said.value).replace("``", "")
            docs[ast.unparse(field.target)] = " ".join(text.split())
    return docs


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
        "command": f"python train.py task={path.stem}",
    }
