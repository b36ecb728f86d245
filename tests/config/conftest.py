"""Commands composed in this process, with task types of our own."""

from pathlib import Path
from typing import Any

import pytest

from mtl.cli.train import CONF
from mtl.config.compose import Composed, compose_checked
from mtl.config.groups import Groups
from mtl.config.overrides import join_tasks
from mtl.errors import ConfigError
from tests.config import fakes

CHOICES = Groups([CONF]).choices("task")


def compose(
    *overrides: str,
    multirun: bool = False,
    folders: tuple[Path, ...] = (),
    task_types: Any = fakes.TASK_TYPES,
) -> Composed:
    joined = join_tasks(overrides, multirun, CHOICES)
    return compose_checked(joined, [CONF, *folders], multirun, task_types)


def refusal(*overrides: str, multirun: bool = False) -> str:
    """Return the message that refuses a command."""
    with pytest.raises(ConfigError) as error:
        compose(*overrides, multirun=multirun)
    return str(error.value)
