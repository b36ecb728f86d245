"""What is shipped, against the task types that are really registered."""

from pathlib import Path

import pytest

from mtl.config.compose import compose_checked
from mtl.errors import ConfigError
from mtl.tasks import TASK_TYPES
from tests.config.conftest import CONF

TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("task", TASKS)
def test_tasks_fit_their_types(task: str) -> None:
    config = compose_checked([f"task=[{task}]"], [CONF]).config.tasks[task]
    kind = TASK_TYPES.get(config.type)
    required = {role.name for role in kind.roles() if role.required}
    assert required <= set(config.columns)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_fit(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTL_DATA", str(tmp_path))
    compose_checked([f"experiment={name}", "trunk=hf", "trunk.path=M"], [CONF])


def test_options_are_those_of_the_type() -> None:
    with pytest.raises(ConfigError, match=r"`tasks.ner.head.poling`"):
        compose_checked(["task=[ner]", "tasks.ner.head.poling=mean"], [CONF])
