"""Processes of an external launcher share what the first one makes, and its error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import reserved_port

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from mtl.errors import ConfigError, MtlError
from mtl.launch.agree import Refused, from_first, speaks

def refuse():
    raise ConfigError("taken")

assert speaks() == (sys.argv[1] == "0")
print(from_first("folder", lambda: "made by " + sys.argv[1]))
print(speaks())
try:
    from_first("other", refuse)
except MtlError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_two_processes() -> None:
    running = []
    with reserved_port() as port:
        for rank in range(2):
            env = {
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            command = [sys.executable, "-c", CODE, str(rank)]
            running.append(
                subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
            )
        first, second = (process.communicate(timeout=120)[0].splitlines() for process in running)
    assert first[0] == second[0] == "made by 0"
    assert sorted([first[1], second[1]]) == ["False", "True"]
    assert first[2] == "ConfigError taken"
    assert second[2] == "Refused taken"
