"""The examples of docs/ work, and what docs/ and the top-level pages name exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from mtl.cli import train as script
from mtl.config.compose import compose_checked
from mtl.config.schema import DataConfig
from mtl.data.sources import Wanted, load_splits
from mtl.tasks import TASK_TYPES
from mtl.tasks.base import take
from mtl.tasks.encode import encode_split
from mtl.training.evaluation import baseline_scores, higher_is_better
from mtl.trunk.text import TextEncoder
from mtl.types import Examples

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "adding-a-task.md"
MADE = ("_build", "reference")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("mtl/**/*.md")])
PAGES = [page for page in PAGES if page.relative_to(ROOT).parts[1:2] not in [(m,) for m in MADE]]


def block(page: Path, language: str) -> str:
    """Return the first code block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page: Path) -> None:
    inline = re.findall(r"`((?:mtl|conf|docs|scripts|tests)/[\w./*-]+)`", page.read_text("utf-8"))
    made_by_the_reader = {"mtl/tasks/count.py", "conf/task/intent.yaml"}
    missing = [n for n in inline if n not in made_by_the_reader and not list(ROOT.glob(n))]
    assert missing == []


def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns(*MADE))
    for beside in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "conf", "mtl", "scripts"):
        (tmp_path / beside).symlink_to(ROOT / beside)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, source, tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    keys = (tmp_path / "site" / "reference" / "keys.html").read_text("utf-8")
    assert "trainer.val_check_interval" in keys
    assert "W_out" in (tmp_path / "site" / "one-pass.html").read_text("utf-8")


def test_worked_example_of_one_pass_adds_up() -> None:
    found: dict[str, Any] = {}
    exec(compile(block(ROOT / "docs" / "one-pass.md", "python"), "one-pass", "exec"), found)
    torch.testing.assert_close(found["logits"].detach(), torch.tensor([[-1.4, 0.9]]))


def test_yaml_of_a_new_task_composes(tmp_path: Path) -> None:
    text = block(GUIDE, "yaml")
    assert text.startswith("# @package tasks.intent\n")
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "intent.yaml").write_text(text)
    cfg = compose_checked(["task=[ner,intent]"], [script.CONF, tmp_path]).config
    assert list(cfg.tasks) == ["ner", "intent"]
    assert cfg.tasks["intent"].columns == {"text": "message", "label": "intent"}


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The guide's task type, registered for one test."""
    module = ModuleType("mtl.tasks.count")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile(block(GUIDE, "python"), str(GUIDE), "exec")
    exec(code, module.__dict__)
    yield TASK_TYPES.get("count")
    del TASK_TYPES._entries["count"]


def test_new_task_type_keeps_the_contract(count: Any, tokenizers: dict[str, Any]) -> None:
    rows = [{"text": "two boats " * n, "count": float(n)} for n in (1, 2, 9)]
    task = count("boats", count.Options(), count.HeadOptions(dropout=0.0))
    take(task, task.learn(rows))
    encoder = TextEncoder(tokenizers["bpe"], 16, 4)
    tokens = encoder.tokenize([str(row["text"]) for row in rows])
    examples = [task.encode(r, t, encoder, "causal") for r, t in zip(rows, tokens, strict=True)]
    assert [e.outputs for e in examples] == [1, 1, 1]
    assert len(examples[2].documents) > 1
    head = task.build_head(8)
    targets = {"counts": torch.from_numpy(np.concatenate([e.targets["counts"] for e in examples]))}
    assert head.mass(targets) == sum(e.mass for e in examples) == 3
    logits = head(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    expected = sum((logits[i, 0].exp() - n * logits[i, 0]) for i, n in enumerate((1, 2, 9)))
    assert torch.isclose(head.loss_sum(logits, targets), expected)
    assert len(task.decode(logits, Examples(examples, rows))) == 3
    assert task.present(1.6, rows[0]) == {"count": 2, "mean": 1.6}


def test_new_task_type_scores(count: Any, tokenizers: dict[str, Any]) -> None:
    rows = [{"text": "a boat", "count": n} for n in (1.0, 2.0, 9.0)]
    task = count("boats", count.Options(), count.HeadOptions())
    store = encode_split(task, rows, TextEncoder(tokenizers["bpe"], 16, 4), "causal")
    found = baseline_scores(task, store, store)
    assert found == {"exact": pytest.approx(1 / 3), "mae": pytest.approx(8 / 3)}
    assert task.primary_metric == "exact"
    assert higher_is_better(task)
    assert not higher_is_better(task, "mae")


def test_the_example_is_short() -> None:
    assert block(GUIDE, "python").count("\n") <= 70


def test_new_task_type_without_targets(count: Any, tokenizers: dict[str, Any]) -> None:
    task = count("boats", count.Options(), count.HeadOptions())
    encoder = TextEncoder(tokenizers["bpe"], 16, 4)
    row = {"text": "two boats"}
    encoded = task.encode(row, encoder.tokenize([row["text"]])[0], encoder, "causal")
    assert encoded.targets == {}
    assert encoded.mass == 0


def test_rows_of_a_new_task_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(block(GUIDE, "csv"), "utf-8")
    spec = yaml.safe_load(block(GUIDE, "yaml"))
    roles = TASK_TYPES.get(spec["type"]).roles()
    data = DataConfig(train=str(tmp_path / "tickets.csv"))
    splits = load_splits({"intent": Wanted(data, spec["columns"], roles)}, seed=42)["intent"]
    assert splits.train is not None
    assert splits.validation is not None
    held = set(splits.validation.column("label"))
    assert held <= set(splits.train.column("label"))
    assert len(splits.train) + len(splits.validation) >= 12
