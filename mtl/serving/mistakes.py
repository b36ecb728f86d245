"""What is wrong with a body or an address, in one sentence; what was sent is not repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtl.errors import Problem, did_you_mean, one_of, printable

TEXTS = "to be a list of texts"
KINDS = {
    "texts": "to be a text or a list of texts, at least one",
    "tasks": "to be a list of names of tasks, at least one",
    "task": "to be the name of a task",
    "model": "to be the name of a model",
    "questions": TEXTS,
    "seconds": TEXTS,
    "choices": TEXTS,
    "instruction": "to be a text",
    "all_probabilities": "to be true or false",
    "stream": "to be true or false",
    "row": "to be an object with the task's columns",
}
"""What each field of a request is."""
LONGEST = 60
"""Characters of a name that are told."""


def first_mistake(errors: Sequence[Mapping[str, Any]], fields: Iterable[str], body: Any) -> str:
    """Return the sentence of what pydantic found wrong.

    Args:
        errors: Of pydantic, at least one.
        fields: What a request may have.
        body: What was sent, as far as it was read.
    """
    error = errors[0]
    if error["type"] == "json_invalid":
        return _no_json(error, body)
    if not isinstance(body, Mapping):
        found = "it is missing" if body is None else f"got {_kind(body)}"
        return f"Expected the body to be a JSON object, but {found}."
    names = list(fields)
    extra = [str(name) for name in body if name not in names]
    missing = [str(e["loc"][-1]) for e in errors if e["type"] == "missing"]
    if missing:
        found = f"got `{_shown(extra[0])}`" if extra else "it is missing"
        near = did_you_mean(_shown(extra[0]), missing) if extra else ""
        return f"Expected `{missing[0]}`, but {found}.{near}"
    if extra:
        return printable(one_of("the body's keys", _shown(extra[0]), names))
    field = str(error["loc"][1])
    return printable(Problem(field, KINDS[field], f"got {_kind(body[field])}"))


def no_address(method: str, path: str, paths: Iterable[str]) -> str:
    """Return the sentence of an address that a server has not."""
    if path == "/v1/corrections":
        return "This server keeps no corrections: start it with `mtl serve --corrections FOLDER`."
    found = f"there is no such address: {method} {_shown(path)}"
    return f"Expected an address of this server, but {found}.{did_you_mean(_shown(path), paths)}"


def other_method(method: str, path: str, allowed: str) -> str:
    """Return the sentence of an address that takes another method."""
    return f"Expected `{_shown(path)}` to be asked with {allowed}, but got {method}."


def _no_json(error: Mapping[str, Any], body: Any) -> str:
    """Return the sentence of a body that is not JSON; characters are counted from 0."""
    place = int(error["loc"][-1])
    if isinstance(body, str) and place >= len(body.rstrip()):
        found = f"it ends too early, at character {place}"
    else:
        reason = str(error["ctx"]["error"]).removesuffix(" at")
        found = f"found a mistake at character {place}: {reason[:1].lower()}{reason[1:]}"
    return printable(f"Expected the body to be JSON, but {found}.")


def _shown(name: str) -> str:
    return printable(name if len(name) <= LONGEST else f"{name[:LONGEST]}…")


def _kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    if isinstance(value, list):
        if not value:
            return "an empty list"
        odd = next((n for n, one in enumerate(value) if not isinstance(one, str)), None)
        return "a list" if odd is None else f"{_kind(value[odd])} as number {odd + 1} of the list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    kinds = {str: "a text", int: "a number", float: "a number", dict: "an object"}
    return kinds.get(type(value), "another thing")
