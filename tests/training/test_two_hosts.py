"""Two hosts with networks of their own train together, started by torchrun on each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scripts.two_hosts import possible
from tests.training.processes import ROOT, arguments, tree
from tests.training.site import Site, last_weights
from train import main


@pytest.mark.slow
@pytest.mark.skipif(not possible(), reason="may not make network namespaces")
def test_two_hosts_equal_one(site: Site, tmp_path: Path) -> None:
    line = arguments(site, tmp_path / "conf", "trainer.max_steps=4")
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    command = [sys.executable, str(ROOT / "scripts" / "two_hosts.py"), *line]
    ended = subprocess.run(
        [*command, f"hydra.run.dir={tmp_path / 'two'}"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("primary metric") == 1
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    one, two = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6)
