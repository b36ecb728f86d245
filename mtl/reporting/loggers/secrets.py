"""Keep keys and passwords out of what is logged."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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
    environment = os.environ if environment is None else environment
    known = [v for k, v in environment.items() if SECRET_VARIABLE.search(k) and len(v) >= SHORTEST]
    return _hide(config, known)


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
