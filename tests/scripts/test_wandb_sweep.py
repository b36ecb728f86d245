"""The search that W&B's server conducts starts runs that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from mtl.cli.train import parse_arguments
from mtl.config.compose import compose_checked
from mtl.config.groups import Groups
from mtl.config.overrides import join_tasks
from mtl.shipped import CONF, SCRIPT

ROOT = SCRIPT.parent

SWEEP: dict[str, Any] = yaml.safe_load((ROOT / "scripts" / "wandb_sweep.yaml").read_text("utf-8"))


def value_of(parameter: dict[str, Any]) -> Any:
    return parameter["values"][0] if "values" in parameter else parameter["min"]


def test_an_agents_command_is_a_run_of_ours() -> None:
    """The agent's own code fills the command in."""
    chosen = {key: value_of(parameter) for key, parameter in SWEEP["parameters"].items()}
    filled = create_sweep_command_args({"args": {k: {"value": v} for k, v in chosen.items()}})
    command = create_sweep_command(SWEEP["command"])
    words = [str(w) for word in command for w in _fill(word, filled)]
    assert words[1:3] == ["python", "${program}"]
    assert Path(ROOT / SWEEP["program"]).is_file()
    overrides = parse_arguments(words[3:]).overrides
    config = compose_checked(join_tasks(overrides, False, Groups([CONF]).choices("task")), [CONF])
    assert set(config.config.tasks) == {"ner", "sentiment"}
    assert config.config.trunk.lr == chosen["trunk.lr"]
    assert config.config.batching.examples == chosen["batching.examples"]
    assert config.config.monitor == SWEEP["metric"]["name"]


def _fill(word: str, filled: dict[str, Any]) -> list[str]:
    return filled["args_no_hyphens"] if word == "${args_no_hyphens}" else [word]
