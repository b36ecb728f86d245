"""A package of another's, built of the blocks of docs/extending.md, trains with what it brings."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import helpers

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ITEMS = [("a pear", 1), ("two pears and a plum", 3), ("plums, two of them", 2), ("no pear", 0)]
TASK = "{type: count, data: {train: items.piped, test: items.piped}, columns: {text: 0, count: 1}}"


def block(page: str, language: str) -> str:
    """Return the last code block of a language."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed, as `pip install .` would."""
    base = tmp_path_factory.mktemp("extras")
    package = base / "source" / "mtl_extras"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "count.py").write_text(block("adding-a-task.md", "python"), "utf-8")
    (package / "extras.py").write_text(block("extending.md", "python"), "utf-8")
    (package.parent / "pyproject.toml").write_text(block("extending.md", "toml"), "utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(base / "site"), str(package.parent)],
        check=True,
        capture_output=True,
    )
    return base / "site"


def train(site: Path, cwd: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run ``train.py`` where the package is installed."""
    path = os.pathsep.join([str(ROOT), str(site)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "train.py"), *argv]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_it_trains_with_all_that_the_package_brings(site: Path, tmp_path: Path) -> None:
    lines = [f"{text}|{count}" for text, count in ITEMS * 6]
    (tmp_path / "items.piped").write_text("\n".join(lines) + "\n", "utf-8")
    helpers.save_tiny(tmp_path / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    ended = train(
        site,
        tmp_path,
        f"+tasks.goods={TASK}",
        "task=sentiment",
        "+tasks.goods.metrics=[largest]",
        "mixing.name=powers",
        "mixing.options.power=0.9",
        "balancing.name=halved",
        "tuning.name=norms",
        "trunk=hf",
        "trunk.path=trunk",
        "trainer.max_steps=3",
        "trainer.limit_val_examples=8",
        "trainer.log_every_n_steps=1",
        "trainer.progress=false",
        "logger=csv",
        "hydra.run.dir=run",
    )
    assert ended.returncode == 0, ended.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))
    assert {"test/goods/exact", "test/goods/mae", "test/goods/largest"} <= metrics.keys()
    with (tmp_path / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        logged = [row for row in csv.DictReader(file) if row["train/loss"]]
    assert len(logged) == 3
    assert "weights learn" in ended.stdout + ended.stderr


@pytest.mark.slow
def test_its_options_are_checked(site: Path, tmp_path: Path) -> None:
    ended = train(
        site, tmp_path, "mixing.name=powers", "mixing.options.power=2", "tasks.ner.metric=f2"
    )
    assert ended.returncode == 2
    assert "`mixing.options.power` to be a number from 0 to 1, but got 2" in ended.stderr
    assert "2 problems" in ended.stderr
    assert list(tmp_path.iterdir()) == []
