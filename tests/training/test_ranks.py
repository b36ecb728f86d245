"""Several processes take the steps that one would take."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.tensor import DTensor

from mtl.cli import main as mtl
from mtl.training.checkpoint import read_checkpoint
from mtl.training.sharding import is_sharded, layers, make_whole
from tests import helpers
from tests.training.forked import two_ranks
from tests.training.processes import NAMES, arguments, logged, train_py, tree
from tests.training.site import (
    Site,
    fit,
    last_weights,
    metrics,
    module_of,
    prepared,
    saved,
    weights,
)
from train import main

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}
"""Sums over two processes are added in another order; AdamW divides by their small roots."""


@dataclass
class Pair:
    """One run in one process, and in two."""

    strategy: str
    one: Path
    two: Path
    out: str
    err: str


@pytest.fixture(scope="module")
def one(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process."""
    base = tmp_path_factory.mktemp("one")
    assert main([*arguments(site, base / "conf"), f"hydra.run.dir={base / 'run'}"]) == 0
    return base / "run"


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in ("ddp", "fsdp")]
)
def pair(
    request: pytest.FixtureRequest,
    one: Path,
    site: Site,
    tmp_path_factory: pytest.TempPathFactory,
) -> Pair:
    base = tmp_path_factory.mktemp("two")
    line = arguments(site, base / "conf", f"trainer={request.param}", "trainer.devices=2")
    ended = train_py(*line, f"hydra.run.dir={base / 'run'}")
    assert ended.returncode == 0, ended.stderr
    assert tree(base / "run") == tree(one)
    return Pair(request.param, one, base / "run", ended.stdout, ended.stderr)


def test_the_same_losses_at_every_step(pair: Pair) -> None:
    one, two = logged(pair.one), logged(pair.two)
    assert len(one) == len(two)
    for ours, theirs in zip(one, two, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4, abs=1e-6)


def test_the_run_has_what_it_is_to_show(pair: Pair) -> None:
    """Tasks that are in some steps only, or in fewer rows than there are processes."""
    steps = [row for row in logged(pair.one) if "train/loss" in row]
    for name in ("rating", "gist"):
        present = [f"train/{name}/loss" in row for row in steps]
        assert any(present)
        assert not all(present)


def test_the_same_weights(pair: Pair) -> None:
    one, two = last_weights(pair.one), last_weights(pair.two)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, **CLOSE)
    assert saved(pair.one).keys() == saved(pair.two).keys()


def test_the_same_metrics(pair: Pair) -> None:
    assert metrics(pair.two) == pytest.approx(metrics(pair.one), rel=1e-5, abs=1e-6)


def test_evaluation_in_one_process_is_exactly_the_same(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts to the last bit; sums of floats as far as their order allows."""
    with pytest.raises(SystemExit) as end:
        mtl(["evaluate", str(pair.two), "--json"])
    assert end.value.code == 0
    alone = json.loads(capsys.readouterr().out)["tasks"]
    ours = metrics(pair.two)
    for name in NAMES:
        for metric, value in alone[name]["scores"].items():
            exact = name in ("ner", "sentiment") or metric.startswith("rouge")
            wanted = value if exact else pytest.approx(value, rel=1e-6)
            assert ours[f"test/{name}/{metric}"] == wanted, metric


def test_one_process_speaks(pair: Pair) -> None:
    assert pair.out.count("primary metric") == 1
    lines = pair.err.splitlines()
    assert len(set(lines)) == len(lines)


def test_it_resumes(pair: Pair, tmp_path: Path) -> None:
    """A longer run goes on in two processes: parameters and optimiser are put in parts again."""
    if pair.strategy == "ddp":
        pytest.skip("each process loads what a single one does")
    for run in (pair.one, pair.two):
        shutil.copytree(run, tmp_path / run.parent.name)
    ours, theirs = (tmp_path / run.parent.name for run in (pair.one, pair.two))
    more = two_ranks(f"resume={theirs}", "trainer.max_epochs=3")
    assert more.returncode == 0, more.stderr
    assert main([f"resume={ours}", "trainer.max_epochs=3"]) == 0
    one, two = last_weights(ours), last_weights(theirs)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_parts_resume_after_one_step(site: Site, tmp_path: Path, tuning: str) -> None:
    """Some weights have no moments yet, or never learn; the others' are those of one process."""
    line = arguments(site, tmp_path / "conf", f"tuning={tuning}", "trainer.max_steps=1")
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*line, f"hydra.run.dir={one}"]) == 0
    ended = two_ranks(*line, "trainer=fsdp", "trainer.devices=2", f"hydra.run.dir={two}")
    assert ended.returncode == 0, ended.stderr
    ours, theirs = moments(one), moments(two)
    assert [group["params"] for group in ours["param_groups"]] == [
        group["params"] for group in theirs["param_groups"]
    ]
    torch.testing.assert_close(theirs["state"], ours["state"], **CLOSE)
    assert main([f"resume={one}", "trainer.max_steps=4"]) == 0
    more = two_ranks(f"resume={two}", "trainer.max_steps=4")
    assert more.returncode == 0, more.stderr
    found, wanted = last_weights(two), last_weights(one)
    assert wanted.keys() <= found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, **CLOSE)


def moments(run: Path) -> dict[str, Any]:
    """Return the state of the optimiser in a run's latest checkpoint."""
    found: dict[str, Any] = read_checkpoint(run / "checkpoints" / "last.ckpt")["optimizer_states"][
        0
    ]
    return found


@pytest.mark.slow
def test_an_error_is_one_sentence(site: Site, tmp_path: Path) -> None:
    line = arguments(site, tmp_path / "conf", "tasks.ner.data.source=nowhere")
    ended = train_py(*line, "trainer.devices=2", f"hydra.run.dir={tmp_path / 'run'}")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: Expected `tasks.ner.data.source`")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_machines_need_a_launcher(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = arguments(site, tmp_path / "conf", "trainer.num_nodes=2")
    assert main([*line, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert "Expected a launcher to start a run on 2 machines" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def _no_group(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave neither a process group behind nor the variables of one."""
    before = dict(os.environ)
    yield
    torch.distributed.destroy_process_group()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.mark.usefixtures("_no_group")
def test_strategies_with_one_process(site: Site, tmp_path: Path) -> None:
    """Every parameter takes part in every pass, so that DDP never waits for one."""
    torch.set_num_threads(1)
    found = []
    for strategy in ("auto", "ddp", ModelParallelStrategy(1, 1)):
        cfg = site.config("ner", "sentiment", batching__tokens=16)
        ready = prepared(cfg, tmp_path)
        fit(module_of(cfg, ready), ready.data, steps=4, strategy=strategy, devices=1)
        in_parts = strategy not in ("auto", "ddp")
        assert is_sharded(ready.model) == in_parts
        assert all(isinstance(p, DTensor) == in_parts for p in ready.model.parameters())
        assert [is_sharded(layer) for layer in layers(ready.model.trunk)] == [in_parts]
        make_whole(ready.model)
        found.append(weights(ready.model))
    for others in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(others[name], value, **CLOSE)


METHODS = {
    "an adapter each": ["tuning=lora", "tuning.adapters=per_task", "tuning.rank=2"],
    "adalora": [
        "tuning=adalora",
        "tuning.rank=2",
        "tuning.initial_rank=4",
        "tuning.rank_every=1",
        "trunk.lr=1e-2",
    ],
    "gradual": ["tuning=gradual", "tuning.unfreeze_every=2", "tuning.layer_decay=0.5"],
    "heads": [
        "tasks.ner.head={dropout: 0, decoding: crf}",
        "tasks.sentiment.head={dropout: 0, class_weighting: balanced, loss: focal}",
        "tasks.rating.head={dropout: 0, layer_mix: true}",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "strategy"),
    [(method, "ddp") for method in METHODS] + [("gradual", "fsdp"), ("heads", "fsdp")],
)
def test_methods_on_two_ranks(site: Site, tmp_path: Path, method: str, strategy: str) -> None:
    """Schedules agree, and losses of sequences and of rare labels add up."""
    config = helpers.llama_config(num_hidden_layers=2, hidden_size=8)
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer())
    line = arguments(Site(trunk, site.data), tmp_path / "conf", *METHODS[method])
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*line, f"hydra.run.dir={one}"]) == 0
    more = [f"trainer={strategy}", "trainer.devices=2", f"hydra.run.dir={two}"]
    ended = two_ranks(*line, *more)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = logged(one), logged(two)
    for mine, other in zip(ours, theirs, strict=True):
        for row in (mine, other):
            row.pop("train/padding", None)  # Passes of a rank are packed otherwise.
        assert other == pytest.approx(mine, rel=1e-3, abs=1e-4)
