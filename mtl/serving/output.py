"""JSON, and server-sent events that hold it."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(values: object) -> bytes:
    """Return strict JSON; numbers that it cannot hold are null, half characters are escapes."""
    try:
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return to_json(_finite(values))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def event(name: str, values: object) -> bytes:
    """Return one server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + to_json(values) + b"\n\n"
