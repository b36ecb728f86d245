"""A new user's path, from files to a server's answer, with two steps of training."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "first_model.sh"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def run(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    more = "trainer.progress=false trainer.threads=1"
    known = {"MTL": f"{sys.executable} -m mtl.cli", "PYTHONPATH": str(ROOT), "MORE": more}
    return subprocess.run(
        ["sh", str(SCRIPT), "model", "2"],
        cwd=tmp_path,
        env={**os.environ, **known, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_server_answers_with_a_model_of_ones_own_data(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "model" / "answer.json").read_text("utf-8"))["results"]
    assert set(result) == {"text", "entities", "reviews"}
    assert set(result["reviews"]["probabilities"]) == {"bad", "good"}
    for entity in result["entities"]["entities"]:
        assert result["text"][entity["start"] : entity["end"]] == entity["text"]
    card = (tmp_path / "model" / "exported" / "README.md").read_text("utf-8")
    assert "`reviews`" in card
    log = (tmp_path / "model" / "server.log").read_text("utf-8")
    port = re.search(r"http://127.0.0.1:(\d+)", log)
    assert port is not None
    gone = subprocess.run(["curl", "--silent", port[0]], capture_output=True)
    assert gone.returncode == 7, "the server was not stopped"
    again = run(tmp_path)
    assert again.returncode == 2
    assert "'model' is there" in again.stderr
