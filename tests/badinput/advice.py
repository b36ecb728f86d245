"""What messages advise: keys with their values, and commands, as they stand between backquotes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from mtl.cli.app import build
from mtl.cli.train import CONF, parse_arguments
from mtl.config.groups import Groups
from mtl.config.keys import dotted_keys
from mtl.shipped import program

QUOTED = re.compile(r"`([^`]+)`")
BARE = re.compile(
    r"(?<![\w`.'])((?:tasks\.|trunk\.|trainer\.|task=|batching\.|cache\.)[\w.=,\[\]-]+)"
)
GROUPS = frozenset(Groups([CONF]).names)
_KEY = re.compile(r"[+~]{0,2}[a-z_][\w.]*")


@dataclass(frozen=True)
class Advice:
    """One thing that a message names.

    Args:
        kind: ``key`` or ``command``.
        text: As it stands there.
    """

    kind: str
    text: str

    @property
    def key(self) -> str:
        """The key alone, without its value."""
        return self.text.partition("=")[0].strip("\"'")


def advised(message: str) -> list[Advice]:
    """Return every key and command that a message names, after what it says was found."""
    message = message.partition(", but ")[2] or message
    found = [
        *(match[1] for match in QUOTED.finditer(message)),
        *(match[1].rstrip(".,;") for match in BARE.finditer(message)),
    ]
    advice = []
    for text in dict.fromkeys(found):
        if text.startswith(("mtl ", f"{program()} ", "pip install ")):
            advice.append(Advice("command", text))
        elif _KEY.fullmatch(text.partition("=")[0].strip("\"'")) and ("." in text or "=" in text):
            advice.append(Advice("key", text))
    return advice


OPEN = ("columns", "options", "head", "data.columns", "metrics")
"""Groups of a task whose keys are the user's own, or a type's."""


def exists(advice: Advice) -> bool:
    """Whether a key is in the schema, maybe named without its task, or a command is one."""
    if advice.kind == "command":
        return _is_command(shlex.split(advice.text))
    key = re.sub(r"^[+~]*tasks\.[^.]+", "tasks.NAME", advice.key)
    known = dotted_keys(names=("NAME",))
    if any(key.startswith((f"tasks.NAME.{part}.", f"{part}.")) for part in OPEN):
        return True
    return (
        key.startswith(("hydra.", "hydra/"))
        or key in GROUPS
        or any(name == key or name.endswith(f".{key}") for name in known)
    )


def _is_command(words: list[str]) -> bool:
    if words[0] == "pip":
        return words[1] == "install"
    if words[0] == "python":
        return bool(parse_arguments(words[2:]))
    app = build()
    commands = {command.name for command in app.registered_commands}
    commands |= {str(group.name) for group in app.registered_groups}
    return words[1].startswith("-") or words[1] in commands or words[1] in {"NAME", "…"}
