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
    from wandb import Settings

    hosts = {urlsplit(base_url).netloc}
    default = Settings.model_fields["base_url"].default
    if "WANDB_BASE_URL" not in os.environ and base_url == default:
        hosts.add(PUBLIC_HOST)
    return _in_netrc(hosts)


def _in_netrc(hosts: Collection[str]) -> bool:
    """Return whether the user's netrc file has a password for one of some hosts."""
    home = Path.home()
    for file in (os.environ.get("NETRC"), home / ".netrc", home / "_netrc"):
        try:
            if file is not None:
                logins = netrc.netrc(file)
                return any((login := logins.authenticators(h)) and login[2] for h in hosts)
        except FileNotFoundError:
            continue
        except (OSError, netrc.NetrcParseError):
            return False
    return False
