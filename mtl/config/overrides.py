"""Read the overrides of the command line before Hydra does, and note everything wrong with them.

Hydra stops at the first override that it does not know and names no near one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, ValueType
from hydra.errors import HydraException

from mtl.config.groups import Groups
from mtl.config.keys import dotted_keys, is_key
from mtl.config.nearest import choose, suggest_key, unknown_key
from mtl.config.schema import Config
from mtl.secrets import SECRET_KEY, SECRET_VARIABLE

ONE = ("trunk", "tuning", "mixing", "balancing")  # groups of which several files make no sense
OPEN = ("tasks.", "logger.use.")  # nodes that are mappings for Hydra


@dataclass
class Overrides:
    """The overrides of a command, sorted by what they are."""

    groups: list[str] = field(default_factory=list)
    """Choices of files, one for each group; a sweep's by its first value."""
    values: list[Override] = field(default_factory=list)
    """Values of single keys, without those that a sweep varies."""
    swept: list[Override] = field(default_factory=list)
    """Values that a sweep varies."""
    varied: set[str] = field(default_factory=set)
    """Groups that a sweep varies, other than the tasks."""
    varied_files: list[str] = field(default_factory=list)
    """A choice of each file that a sweep varies, the first ones left out."""
    hydra: list[str] = field(default_factory=list)
    """What is for Hydra itself."""
    broken: dict[str, list[str]] = field(default_factory=dict)
    """Groups whose choice is wrong, with the wrong names."""
    problems: list[str] = field(default_factory=list)


def read_overrides(overrides: Iterable[str], groups: Groups, multirun: bool) -> Overrides:
    """Sort overrides and note each that cannot be right.

    Args:
        overrides: What was typed, tasks joined (:mod:`mtl.config.joint`).
        groups: The groups that there are.
        multirun: Whether several values of one key are a sweep.
    """
    out = Overrides()
    parser = OverridesParser.create()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            out.problems.append(_unreadable(text, error))
            continue
        if override.is_sweep_override() and not multirun:
            out.problems.append(_sweep_without_m(text, override))
        else:
            _sort(text, override, groups, out)
    return out


def open_keys(overrides: Iterable[str]) -> list[str]:
    """Return checked overrides for Hydra, with ``++`` before keys that no YAML file need have.

    Hydra knows a task by what its file says; our own check knows all its keys.
    """
    return [f"++{text}" if text.startswith(OPEN) else text for text in overrides]


def _sort(text: str, override: Override, groups: Groups, out: Overrides) -> None:
    key = override.key_or_group
    if override.is_hydra_override():
        if key.startswith("hydra/") or is_key(HydraConf, key.removeprefix("hydra.")):
            out.hydra.append(text)
        else:
            out.problems.append(
                unknown_key(key, (), [f"hydra.{k}" for k in dotted_keys(HydraConf)])
            )
    elif key in groups:
        _choose(override, groups, out)
    elif key == "tasks" and not override.is_delete():
        out.problems.append(_tasks_by_name(text, override))
    elif "." not in key and not is_key(Config, key):
        out.problems.append(_unknown_name(key, groups))
    elif override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        out.problems.append(f"Expected values for `{key}`, but got '{text}', which is for groups.")
    elif override.is_sweep_override():
        out.swept.append(override)
    else:
        out.values.append(override)


def _tasks_by_name(text: str, override: Override) -> str:
    """Return the sentence for ``tasks=ner``, which is meant as ``task=ner``."""
    value = text.partition("=")[2]
    names = "..." if isinstance(override._value, dict) or not value else value
    return (
        f"Expected `tasks` to be given key by key, such as tasks.ner.weight=2, but got '{text}'. "
        f"Did you mean `task={names}`?"
    )


def _choose(override: Override, groups: Groups, out: Overrides) -> None:
    """Check a group's choice, and keep what is right of it."""
    group = override.key_or_group
    if any(text.lstrip("+~").partition("=")[0] == group for text in out.groups):
        out.problems.append(f"Expected `{group}` to be given once, but got it twice.")
        return
    if override.is_delete():
        out.groups.append(override.input_line or "")
        return
    known = groups.choices(group)
    if group in ONE and isinstance(override.value(), list):
        text = override.get_value_string()
        out.problems.append(f"Expected `{group}` to be one name, but got {text}.")
        return
    if override.is_sweep_override() and group != "task":
        out.varied.add(group)
    names = list(dict.fromkeys(_names(override, known)))
    wrong = [name for name in names if name not in known]
    if wrong:
        out.broken[group] = wrong
        out.problems += [_no_such_file(group, name, known) for name in wrong]
    right = [name for name in names if name in known]
    if right:
        several = isinstance(override.value(), list) or group == "task"
        if override.is_sweep_override():
            out.varied_files += [f"{group}={name}" for name in right[1:]]
        out.groups.append(f"{group}=[{','.join(right)}]" if several else f"{group}={right[0]}")


def _no_such_file(group: str, name: str, known: list[str]) -> str:
    """Return the sentence for a file that is not there; a task may be the user's own to write."""
    text = choose(group, name, known)
    if group != "task" or "Did you mean" in text:
        return text
    return (
        f"{text} A task of your own is a file FOLDER/task/{in_name(name)}.yaml and --config-dir "
        "FOLDER; see docs/adding-a-task.md."
    )


def in_name(name: str) -> str:
    """Return a name as a part of a file's name, as an example."""
    return name if name.isidentifier() else "NAME"


def _names(override: Override, known: list[str]) -> list[str]:
    """Return every file that an override chooses; for a sweep, in any of its jobs."""
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            return ["a range of numbers"]
        if isinstance(override._value, Glob):
            return override._value.filter(known)
        texts = [Override._convert_value(v) for v in override.sweep_iterator()]
    else:
        texts = [override.value()]  # type: ignore[list-item]
    flat = [name for text in texts for name in (text if isinstance(text, list) else [text])]
    return ["null" if name is None else str(name) for name in flat]


def _unknown_name(key: str, groups: Groups) -> str:
    tops = [k for k in dotted_keys(Config) if "." not in k]
    known = [*groups.names, *tops, *dotted_keys(Config)]
    if SECRET_VARIABLE.search(key) or SECRET_KEY.search(key):
        return (
            f"Expected a group of {{{', '.join(groups.names)}}} or a key, but got '{key}'; a "
            f"secret goes into the environment (export {key}=…), where it is not written down."
        )
    near = suggest_key(key, known) or suggest_key(key.lower().replace("-", "_"), known)
    advice = f" Did you mean {near}?" if near else ""
    return f"Expected a group of {{{', '.join(groups.names)}}} or a key, but got '{key}'.{advice}"


def _unreadable(text: str, error: HydraException) -> str:
    if "=" not in text:
        return f"Expected `key=value`, but got '{text}'."
    reason = str(error).splitlines()[0].rstrip(".")
    return (
        f"Expected '{text}' to be `key=value` in Hydra's grammar, but found: {reason}; put quotes"
        " around a value with special characters, such as 'key=\"a, b\"'."
    )


def _sweep_without_m(text: str, override: Override) -> str:
    key, _, value = text.partition("=")
    if not override.is_choice_sweep() or "(" in value:
        return f"Expected one value for `{key}`, but got '{value}'; add -m to sweep over them."
    return (
        f"Expected one value for `{key}`, but got '{value}'; add -m to sweep over them, or write"
        f" {key}=[{value}] for a list."
    )
