"""Whether W&B can be reached as somebody; asked without any network."""

from __future__ import annotations

import netrc
import os
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
PUBLIC_HOST = "api.wandb.ai"
"""The public server, under whose name ``wandb login`` has long kept its keys."""


def has_login(base_url: str) -> bool:
    """Return whether there is an API key, in the environment or where ``wandb login`` puts it."""
    if any(os.environ.get(name) for name in VARIABLES):
        return True
    return in_netrc({urlsplit(base_url).netloc, *_public(base_url)})


def _public(base_url: str) -> list[str]:
    """Return the public server's old name, unless the settings name a private server."""
    private = "WANDB_BASE_URL" in os.environ or not _is_default(base_url)
    return [] if private else [PUBLIC_HOST]


def _is_default(base_url: str) -> bool:
    from wandb import Settings

    return bool(base_url == Settings.model_fields["base_url"].default)


def in_netrc(hosts: Collection[str]) -> bool:
    """Return whether the user's netrc file has a password for one of some hosts."""
    home = Path.home()
    files = [os.environ.get("NETRC"), home / ".netrc", home / "_netrc"]
    for file in files:
        try:
            if file is not None:
                return any(_has(netrc.netrc(file), host) for host in hosts)
        except FileNotFoundError:
            continue
        except (OSError, netrc.NetrcParseError):
            return False
    return False


def _has(found: netrc.netrc, host: str) -> bool:
    login = found.authenticators(host)
    return login is not None and bool(login[2])
