"""The rule that ``task=a,b`` trains both tasks jointly, although Hydra reads it as a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from mtl.errors import ConfigError

KEYS = ("task=", "+task=", "++task=")


def join_tasks(overrides: Sequence[str], multirun: bool, known: Sequence[str]) -> list[str]:
    """Return the overrides with ``task=a,b`` as ``task=[a,b]``; in a sweep as they are.

    Args:
        overrides: What was typed.
        multirun: Whether the command is a sweep, where a comma separates runs.
        known: The tasks that there are, for messages.

    Raises:
        ConfigError: If no task, an empty name, or a name twice is given.
    """
    return [
        _join(text, multirun, known) if text.startswith(KEYS) else text
        for text in (override.strip() for override in overrides)
    ]


USUAL = ("ner", "sentiment")
"""What a message takes for its example, where there are such tasks."""


def _join(override: str, multirun: bool, known: Sequence[str]) -> str:
    key, _, value = override.partition("=")
    plain = value.strip()
    sets = multirun and "]" in plain.rstrip("]")
    if sets or "(" in plain:
        return override  # sets of tasks to sweep over, or one of Hydra's functions
    listed = plain.startswith("[") and plain.endswith("]")
    names = [name.strip() for name in plain.strip("[]'\"").split(",")]
    options = ", ".join(known)
    if names in ([""], ["null"]):
        raise ConfigError(
            f"Expected `task` to name at least one of {{{options}}}, but got nothing; write for"
            f" example task={','.join([n for n in USUAL if n in known] or known[:2])}."
        )
    if "" in names:
        raise ConfigError(
            f"Expected `task` to be names with a comma between, but got an empty name in"
            f" '{plain}'; write task={','.join(filter(None, names))}."
        )
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ConfigError(f"Expected `task` to name each task once, but got '{twice[0]}' twice.")
    if (multirun and not listed) or (len(names) == 1 and not listed):
        return override
    return f"{key}=[{','.join(names)}]"
