"""Read the overrides of a command line before Hydra does, and note everything wrong with them.

Hydra stops at the first override that it does not know and names no near one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, ValueType
from hydra.errors import HydraException
from omegaconf import OmegaConf

from mtl.config.groups import Groups
from mtl.config.keys import dotted_keys
from mtl.config.names import suggest_key, unknown_key
from mtl.config.schema import Config
from mtl.errors import ConfigError, Problem, did_you_mean, one_of
from mtl.secrets import SECRET_KEY, SECRET_VARIABLE

ONE = ("trunk", "tuning", "mixing", "balancing")
"""Groups of which several files make no sense."""
OPEN = ("columns", "head", "options", "use", "metrics")
"""Keys whose value is a mapping with keys of its own."""
GONE = {
    ("trunk", "llama2c"): "Convert it with python scripts/convert_llama2c.py FOLDER DEST, and "
    "train with trunk=hf trunk.path=DEST."
}
"""What became of choices that there were."""
_KEY = re.compile(r"[+~]{0,2}([\w.]+)=")


_TASK_NAME = re.compile(r"[\w./${}:@ -]*", re.ASCII)
_TASK = ("task=", "+task=", "++task=")
_INIT = re.compile(r"([+]{0,2}init)=(?!\s*\{)")
"""``init=RUN``, which is short for a key of the section."""


def join_tasks(overrides: Sequence[str], multirun: bool, known: Sequence[str]) -> list[str]:
    """Return the overrides with ``task=a,b`` as ``task=[a,b]``; in a sweep as they are.

    ``init=RUN`` becomes ``init.run=RUN``.

    Args:
        overrides: What was typed.
        multirun: Whether the command is a sweep, where a comma separates runs.
        known: The tasks that there are, for messages.

    Raises:
        ConfigError: If no task, an empty name, or a name twice is given.
    """
    return [
        _join(text, multirun, known) if text.startswith(_TASK) else _INIT.sub(r"\1.run=", text)
        for text in (override.strip() for override in overrides)
    ]


def _plain_name(name: str) -> str:
    """Return a name without accents, and with `_` for every other character that is not ASCII."""
    bare = unicodedata.normalize("NFKD", name)
    return re.sub(r"\W", "_", "".join(c for c in bare if not unicodedata.combining(c)), flags=re.A)


def _join(override: str, multirun: bool, known: Sequence[str]) -> str:
    key, _, value = override.partition("=")
    plain = value.strip()
    sets = multirun and "]" in plain.rstrip("]")
    if sets or "(" in plain:
        return override  # sets of tasks to sweep over, or one of Hydra's functions
    listed = plain.startswith("[") and plain.endswith("]")
    names = [name.strip() for name in plain.strip("[]'\"").split(",")]
    if names in ([""], ["null"]):
        expected = f"to name at least one of {{{', '.join(known)}}}"
        usual = [name for name in ("ner", "sentiment") if name in known] or known[:2]
        advice = f"Write for example task={','.join(usual)}."
        raise ConfigError(Problem("task", expected, "got nothing", advice))
    if "" in names:
        advice = f"Write task={','.join(filter(None, names))}."
        expected = "to be names with a comma between"
        raise ConfigError(Problem("task", expected, f"got an empty name in '{plain}'", advice))
    if dotted := next((name for name in names if "." in name and "$" not in name), ""):
        own = _plain_name(dotted)
        advice = f"Call its file {own}.yaml and its package tasks.{own}, and write task={own}."
        expected = "to be names without a dot, which divides keys"
        raise ConfigError(Problem("task", expected, f"got '{dotted}'", advice))
    if odd := [name for name in names if not _TASK_NAME.fullmatch(name)]:
        expected = "to be names of ASCII letters, digits, `_` and `-`"
        advice = f"Name the task's file so, and write task={_plain_name(odd[0])}."
        raise ConfigError(Problem("task", expected, f"got '{odd[0]}'", advice))
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ConfigError(Problem("task", "to name each task once", f"got '{twice[0]}' twice"))
    if (multirun and not listed) or (len(names) == 1 and not listed):
        return override
    return f"{key}=[{','.join(names)}]"


@dataclass
class Overrides:
    """The overrides of a command, sorted by what they are."""

    choices: list[str] = field(default_factory=list)
    """For Hydra: a choice of files for each group; the first of those that a sweep varies."""
    values: list[Override] = field(default_factory=list)
    """Values of single keys, those that a sweep varies among them."""
    hydra: list[str] = field(default_factory=list)
    """Hydra's own settings."""
    varied: dict[str, list[str]] = field(default_factory=dict)
    """What a sweep varies: a key, or a group with the choices that its first job leaves out."""
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """Groups whose choice is wrong, with the wrong names."""
    problems: list[Problem | str] = field(default_factory=list)

    def chosen(self, group: str) -> list[str]:
        """Return the files that the command line names for a group."""
        text = next((text for text in self.choices if text.startswith(f"{group}=")), "")
        return [name for name in text.partition("=")[2].strip("[]").split(",") if name]


def read_overrides(overrides: Iterable[str], groups: Groups, multirun: bool) -> Overrides:
    """Sort overrides and note each that cannot be right.

    Args:
        overrides: What was typed, tasks joined.
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
            _sort(override, groups, out)
    return out


def opened(text: str) -> str:
    """Return an override of a key with ``++``, unless it is of a key that the files surely have.

    Hydra knows only the keys of its files; a key that no schema knows is to reach the schema, so
    that all such keys are refused at once.
    """
    key = text.partition("=")[0]
    known = key in dotted_keys() and not key.startswith("logger.use")
    return text if known or "." not in key or key.startswith(("+", "~", "hydra")) else f"++{text}"


def first_job(override: Override) -> str:
    """Return an override as the first job of a sweep has it."""
    text = override.input_line or ""
    if override.is_sweep_override():
        text = f"{override.get_key_element()}={_first_value(override)}"
    return opened(text)


def _first_value(override: Override) -> str:
    if override.is_discrete_sweep():
        return str(next(iter(override.sweep_string_iterator())))
    return str(getattr(override.value(), "start", "null"))


def _sort(override: Override, groups: Groups, out: Overrides) -> None:
    key, text = override.key_or_group, override.input_line or ""
    if override.is_hydra_override():
        known = OmegaConf.structured(HydraConf)
        if key.startswith("hydra/") or _is_key_of(known, key.removeprefix("hydra.")):
            out.hydra.append(text)
        else:
            names = [f"hydra.{name}" for name in _keys_of(known)]
            out.problems.append(unknown_key(key, (), names))
    elif key in groups:
        _choose(override, groups, out)
    elif key == "tasks" and not override.is_delete():
        out.problems.append(_tasks_by_name(text, override))
    elif "." not in key and key not in Config.model_fields:
        out.problems.append(_unknown_name(key, groups))
    elif override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        out.problems.append(Problem(key, "to be values", f"got '{text}', which is for groups"))
    else:
        out.values.append(override)
        if override.is_sweep_override():
            out.varied[key] = []


def _keys_of(node: object, prefix: str = "") -> Iterable[str]:
    """Yield every dotted key of Hydra's own schema."""
    if OmegaConf.is_dict(node):
        for key in node:  # type: ignore[attr-defined]
            yield f"{prefix}{key}"
            if not OmegaConf.is_missing(node, str(key)):
                yield from _keys_of(node[key], f"{prefix}{key}.")  # type: ignore[index]


def _is_key_of(node: object, key: str) -> bool:
    """Whether Hydra's own schema has a key; below its open mappings all keys are right."""
    known = list(_keys_of(node))
    parent, _, _ = key.rpartition(".")
    opened = parent in known and not any(name.startswith(f"{parent}.") for name in known)
    return key in known or opened or (bool(parent) and key.startswith(_OPEN_IN_HYDRA))


_OPEN_IN_HYDRA = ("launcher.", "sweeper.", "callbacks.", "job.env_set.", "job_logging.")


def _tasks_by_name(text: str, override: Override) -> Problem:
    """Return the problem of ``tasks=ner``, which is meant as ``task=ner``."""
    value = text.partition("=")[2]
    names = "..." if isinstance(override._value, dict) or not value else value
    expected = "to be given key by key, such as tasks.ner.weight=2"
    return Problem("tasks", expected, f"got '{text}'", f"Did you mean `task={names}`?")


def _choose(override: Override, groups: Groups, out: Overrides) -> None:
    """Check a group's choice, and keep what is right of it."""
    group = override.key_or_group
    if out.chosen(group) or any(text.startswith(f"~{group}") for text in out.choices):
        out.problems.append(Problem(group, "to be given once", "got it twice"))
    if override.is_delete():
        out.choices.append(override.input_line or "")
        return
    if group in ONE and isinstance(override.value(), list):
        text = override.get_value_string()
        out.problems.append(Problem(group, "to be one name", f"got {text}"))
        return
    known = groups.choices(group)
    names = list(dict.fromkeys(_names(override, known)))
    right = [name for name in names if name in known]
    if wrong := [name for name in names if name not in known]:
        out.wrong[group] = wrong
        out.problems += [_no_such_file(group, name, known) for name in wrong]
    if override.is_sweep_override() and group != "task":
        out.varied[group] = right[1:]
    if right:
        several = isinstance(override.value(), list) or group == "task"
        out.choices.append(f"{group}=[{','.join(right)}]" if several else f"{group}={right[0]}")


def _no_such_file(group: str, name: str, known: list[str]) -> Problem:
    """Return the problem of a file that is not there; a task may be the user's own to write."""
    problem = one_of(group, name, known)
    if (group, name) in GONE:
        return Problem(group, problem.expected, problem.found, GONE[group, name])
    if group != "task":
        return problem
    advice = f"{problem.advice} " if problem.advice else ""
    advice += (
        f"A task of your own is a file FOLDER/task/{in_name(name)}.yaml and --config-dir FOLDER; "
        "see docs/adding-a-task.md."
    )
    return Problem(group, problem.expected, problem.found, advice)


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
        texts = [Override._convert_value(value) for value in override.sweep_iterator()]
    else:
        texts = [override.value()]  # type: ignore[list-item]
    flat = [name for text in texts for name in (text if isinstance(text, list) else [text])]
    return ["null" if name is None else str(name) for name in flat]


def _unknown_name(key: str, groups: Groups) -> Problem:
    """Return the problem of a name that is neither a group nor a key."""
    names = [*groups.names, *dotted_keys()]
    if SECRET_VARIABLE.search(key) or SECRET_KEY.search(key):
        advice = (
            f"A secret goes into the environment (export {key}=…), where it is not written down."
        )
    elif key in groups.choices("task"):
        advice = f"Did you mean `task={key}`?"
    else:
        near = suggest_key(key, names) or suggest_key(key.lower().replace("-", "_"), names)
        advice = f"Did you mean {near}?" if near else ""
    expected = f"to be a key, or a group of {{{', '.join(groups.names)}}}"
    return Problem(key, expected, "it is none", advice)


def _unreadable(text: str, error: HydraException) -> Problem | str:
    """Return what is wrong with an override that Hydra's grammar refuses."""
    if "=" not in text:
        return Problem(text, "to be `key=value`", "it has no `=`")
    typed = _KEY.match(text)
    task = re.match(r"[+~]{0,2}tasks\.(\w+)\.", text)
    known = dotted_keys(names=(task[1],) if task else ())
    if typed and typed[1] not in known and (near := suggest_key(typed[1], known)):
        return unknown_key(typed[1], (), known, near=near)  # Such as one with a digit in front.
    reason = str(error).splitlines()[0].rstrip(".")
    return (
        f"Expected '{text}' to be `key=value` in Hydra's grammar, but found: {reason}; put quotes"
        " around a value with special characters, such as 'key=\"a, b\"'."
    )


def _sweep_without_m(text: str, override: Override) -> Problem:
    key, _, value = text.partition("=")
    advice = "Add -m to sweep over them"
    if override.is_choice_sweep() and "(" not in value:
        advice += f", or write {key}=[{value}] for a list"
    return Problem(key, "to be one value", f"got '{value}'", f"{advice}.")


def unchosen(override: Override, chosen: Iterable[str]) -> Problem | None:
    """Return the problem of a typed key that belongs to a task which the run does not have."""
    parts, names = override.key_or_group.split("."), list(chosen)
    added = override.is_add() or override.is_force_add()
    if added or parts[0] != "tasks" or len(parts) < 3 or parts[1] in names:
        return None
    expected = f"to be of a chosen task of {{{', '.join(names)}}}"
    advice = did_you_mean(parts[1], names).strip() or f"Add {parts[1]} to task=…."
    return Problem(override.key_or_group, expected, f"got '{parts[1]}'", advice)
