"""``python train.py`` as a process, from another folder."""

import subprocess
import sys
from pathlib import Path

from mtl.shipped import SCRIPT


def run(tmp_path: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *argv]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_help_is_quick(tmp_path: Path) -> None:
    result = run(tmp_path, "-X", "importtime", str(SCRIPT), "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Fine-tune one pretrained trunk")
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert not imported & {"torch", "lightning", "transformers", "datasets", "wandb"}


def test_a_wrong_command_is_one_sentence(tmp_path: Path) -> None:
    result = run(tmp_path, str(SCRIPT), "task=ner,")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: Expected `task`")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_writes_below_the_current_folder(tmp_path: Path) -> None:
    code = f"""
import sys, types
sys.path.insert(0, {str(SCRIPT.parent)!r})
from tests.config.fakes import TASK_TYPES
sys.modules["mtl.tasks"] = types.SimpleNamespace(TASK_TYPES=TASK_TYPES)
sys.modules["mtl.training.run"] = types.SimpleNamespace(train=lambda cfg, run_dir: {{}})
from mtl.cli.train import main
sys.exit(main(sys.argv[1:]))
"""
    result = run(tmp_path, "-c", code, "task=ner,sentiment")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (folder,) = (tmp_path / "outputs").iterdir()
    assert [p.name for p in folder.iterdir()] == [".hydra"]
