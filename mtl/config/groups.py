"""The config groups and their choices, as the folders of YAML files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtl.errors import ConfigError


class Groups:
    """Lists the groups of one or more configuration folders.

    Args:
        folders: The project's ``conf`` first, then those of ``--config-dir``.

    Raises:
        ConfigError: If one of them is no folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._choices: dict[str, set[str]] = {}
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"Expected --config-dir to be a folder, but got '{folder}'.")
            for file in sorted(folder.glob("*/**/*.yaml")):
                group = file.parent.relative_to(folder).as_posix()
                if group.partition("/")[0] != "hydra":
                    self._choices.setdefault(group, set()).add(file.stem)

    @property
    def names(self) -> list[str]:
        """The groups, sorted."""
        return sorted(self._choices)

    def choices(self, group: str) -> list[str]:
        """The names of a group's files, sorted."""
        return sorted(self._choices[group])

    def __contains__(self, group: str) -> bool:
        return group in self._choices
