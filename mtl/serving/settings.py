"""What a server allows, and where it listens."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from mtl.errors import ConfigError, Problem

KEY = "MTL_API_KEY"
"""The environment variable that holds the key which requests must bring."""
LEAST_KEY = 16
"""Characters of a key that nobody guesses."""


@dataclass(frozen=True)
class Limits:
    """How much one request, and all that wait, may ask for."""

    body: int = 1_000_000
    """Bytes of a request's body; above it the answer is 413."""
    characters: int = 50_000
    """Characters of a text, a question or any other string; above it the answer is 422."""
    texts: int = 64
    """Texts of a request; each question or second text of each text is one more, above it 422."""
    queue: int = 512
    """Texts that wait for the model; above it the answer is 429."""


@dataclass(frozen=True)
class Settings:
    """How a server runs."""

    limits: Limits = Limits()
    latency: float = 0.5
    """Seconds that one batch may take, by the speed measured so far."""
    drain: float = 30.0
    """Seconds that requests have to finish when the server is told to end."""
    key: str | None = None
    """What requests must bring; None asks for nothing."""
    corrections: Path | None = None
    """The folder that corrections are kept in; None takes none."""


def read_key(file: Path | None) -> str | None:
    """Return the key of a file, else that of the environment; None where there is none.

    Raises:
        ConfigError: If the file cannot be read, or the key is too short to be one.
    """
    where = "--api-key-file" if file is not None else KEY
    given = os.environ.get(KEY)
    if file is not None:
        try:
            given = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            found = f"'{file}' cannot be read: {getattr(error, 'strerror', None) or error}"
            raise ConfigError(Problem(where, "to be a file with a key", found)) from error
    if given is None:
        return None
    key = given.strip()
    if len(key) < LEAST_KEY or not key.isascii() or any(c.isspace() for c in key):
        expected = f"to hold a key of at least {LEAST_KEY} letters, digits and signs of ASCII"
        advice = 'Make one: python -c "import secrets; print(secrets.token_urlsafe())".'
        raise ConfigError(Problem(where, expected, f"it has {len(key)} characters", advice))
    return key


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unsafe(host: str, key: str | None) -> str | None:
    """Return what is said of an address that others reach without a key; None if all is well."""
    if is_loopback(host) or key is not None:
        return None
    return (
        f"anyone who reaches {host} can use these models: give requests a key with {KEY} or "
        "--api-key-file, or leave --host at 127.0.0.1."
    )
