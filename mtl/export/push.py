"""An exported folder, uploaded to the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from mtl.errors import ConfigError, Problem

NAME = re.compile(r"[\w.-]+/[\w.-]+")
OPTION = "--push-to-hub"


def check_name(repository: str) -> None:
    """Refuse what is no name of a repository.

    Raises:
        ConfigError: If it is none.
    """
    if not NAME.fullmatch(repository):
        raise ConfigError(Problem(OPTION, "to be OWNER/NAME", f"got '{repository}'"))


def push(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder, all files in one commit, and return the address.

    Args:
        folder: The export.
        repository: ``owner/name``; made where it does not exist.
        private: Whether only its owner may see it, if it is made.

    Raises:
        ConfigError: If the Hub refuses it or cannot be reached; the folder stays.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi(library_name="mtl")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        found = api.upload_folder(
            folder_path=folder, repo_id=repository, commit_message="Upload a model of mtl"
        )
    except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            Problem(
                OPTION,
                "to be a repository that you may write to",
                f"the Hub says: {reason}",
                f"The export is in {folder}. Log in (hf auth login) with a token that may write, "
                f"then upload it: hf upload {repository} {folder}.",
            )
        ) from error
    return str(getattr(found, "commit_url", "") or f"https://huggingface.co/{repository}")
