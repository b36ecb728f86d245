"""Keep keys and passwords out of what is printed, logged and written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIDDEN = "(hidden)"
SECRET_KEY = re.compile(r"(^|_)(api_?key|(access|auth|hf)_token|password|passwd|secret)$", re.I)
SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
SHORTEST = 8


def hide_secrets(config: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Return a copy of plain values without secrets.

    A value is hidden if its key says what it is (``api_key``, ``password``), or if it contains
    the value of an environment variable whose name does (``HF_TOKEN``), as it would after an
    interpolation.

    Args:
        config: Nested mappings, lists and plain values.
        environment: The process's own when None.
    """
    return _hide(config, _known(environment))


def mask(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a text with every secret of the environment replaced.

    Args:
        text: What is to be shown.
        environment: The process's own when None.
    """
    for secret in _known(environment):
        text = text.replace(secret, HIDDEN)
    return text


def mask_files(folder: Path, pattern: str) -> None:
    """Replace every secret of the environment in the text files of a folder that match."""
    for path in sorted(folder.glob(pattern)):
        text = path.read_text(encoding="utf-8")
        if (masked := mask(text)) != text:
            path.write_text(masked, encoding="utf-8")


def _known(environment: Mapping[str, str] | None) -> list[str]:
    """Return the secrets of an environment, the longest first: one may be a part of another."""
    environment = os.environ if environment is None else environment
    found = {v for k, v in environment.items() if SECRET_VARIABLE.search(k) and len(v) >= SHORTEST}
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _hide(value: Any, known: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            k: HIDDEN if v and SECRET_KEY.search(str(k)) else _hide(v, known)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hide(item, known) for item in value]
    if isinstance(value, str) and any(secret in value for secret in known):
        return HIDDEN
    return value
