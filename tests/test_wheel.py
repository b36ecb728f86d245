"""The wheel, installed where the checkout cannot be imported: ``mtl train`` and the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SOURCES = ("mtl", "conf")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "train.py")
SMALL = (
    *("trunk.name=tiny", "logger=none", "trainer.max_steps=1", "trainer.threads=1"),
    *("trainer.progress=false", "trainer.accelerator=cpu"),
)
PAIR = ("task=ner,sentiment", *(f"tasks.{n}.data.max_examples=16" for n in ("ner", "sentiment")))
MINE = """\
# @package tasks.mood
type: text_classification
data: {train: mood.csv, validation: mood.csv, test: mood.csv}
columns: {text: text, label: label}
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    base = tmp_path_factory.mktemp("wheel")
    source, target = base / "source", base / "site"
    source.mkdir()
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(base)]
    subprocess.run([*pip, *build, str(source)], check=True, capture_output=True)
    (wheel,) = base.glob("mtl-*.whl")
    place = ["install", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *place, str(wheel)], check=True, capture_output=True)
    shutil.rmtree(source)
    return target


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Command:
    """Run the installed ``mtl`` in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [str(installed / "bin" / "mtl"), *map(str, arguments)]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.slow
def test_it_holds_every_file_of_the_package(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        return {name for name in found if "__pycache__" not in name}

    assert files(ROOT / "mtl") <= files(installed / "mtl")
    assert files(ROOT / "conf") == files(installed / "mtl" / "conf")


@pytest.mark.slow
def test_what_is_shown_is_what_the_checkout_shows(command: Command, tmp_path: Path) -> None:
    shown = command("train", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage: mtl train" in shown.stdout
    assert "python train.py" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    line = ["--cfg", "job", "task=ner,sentiment", "trunk.lr=1e-5"]
    here = [sys.executable, str(ROOT / "train.py"), *line]
    wanted = subprocess.run(here, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert command("train", *line).stdout == wanted.stdout
    listed = command("tasks").stdout
    assert "mtl train task=sentiment" in listed


@pytest.mark.slow
def test_a_run_is_trained_resumed_and_used(command: Command, tmp_path: Path) -> None:
    first = command("train", *PAIR, *SMALL)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "outputs").iterdir()
    again = f"mtl train resume={run.relative_to(tmp_path)}"
    assert again in first.stdout
    more = command(*again.split()[1:], "trainer.max_steps=2")
    assert more.returncode == 0, more.stderr
    assert "2" in more.stdout
    said = command("predict", run, "--text", "Ines Talbot liked the soup.")
    assert said.returncode == 0, said.stderr
    assert "sentiment" in said.stdout


@pytest.mark.slow
def test_sweeps_several_processes_and_files_of_ones_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_conf" / "task").mkdir(parents=True)
    (tmp_path / "my_conf" / "task" / "mood.yaml").write_text(MINE)
    (tmp_path / "mood.csv").write_text("text,label\n" + "good,yes\nbad,no\n" * 4)
    mine = ("--config-dir", "my_conf", "task=mood")
    swept = command("train", "-m", *mine, *SMALL, "seed=1,2", "hydra.sweep.dir=sweep")
    assert swept.returncode == 0, swept.stderr
    jobs = sorted(p.parent.name for p in (tmp_path / "sweep").glob("*/metrics.json"))
    assert jobs == ["job-0", "job-1"]
    both = command("train", *mine, *SMALL, "trainer.devices=2", "hydra.run.dir=two")
    assert both.returncode == 0, both.stderr
    assert (tmp_path / "two" / "metrics.json").is_file()
    wrong = command("train", "task=mod")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_the_container_file_copies_what_is_there_and_runs_as_nobody_special() -> None:
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert all((ROOT / name).exists() for name in kept)
    assert {*SOURCES, "pyproject.toml", "setup.py"} <= {*kept}
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users, "it would run as root"
    assert "root" not in users
    (entry,) = (line for line in lines if line.startswith("ENTRYPOINT"))
    assert yaml.safe_load(entry.partition(" ")[2]) == ["mtl"]
