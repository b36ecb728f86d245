"""Distillation: what another run's heads say of each text is held to what it was."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from mtl.errors import MtlError
from mtl.training.run import train
from mtl.training.start import begin
from mtl.training.teacher import Teacher, distance
from tests import helpers
from tests.training.site import Site, differing, prepared, saved

OLD, NEW = ("ner", "sentiment"), "rating"


@pytest.fixture(scope="module")
def run(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    train(site.config(*OLD, trainer__max_steps=3, trainer__test=False), folder)
    return folder


def test_distances_by_hand() -> None:
    """Of one token with two labels, at temperature 2."""
    wanted, found = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    p = 1 / (1 + math.exp(-1.0))
    divergence = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    assert distance(wanted, found, "one").item() == pytest.approx(4 * divergence, abs=1e-6)
    q = 1 / (1 + math.exp(-2.0))
    binary = q * math.log(q / 0.5) + (1 - q) * math.log((1 - q) / 0.5)
    assert distance(wanted, found, "any").item() == pytest.approx(binary, abs=1e-6)
    assert distance(wanted, found, None).item() == pytest.approx(2.0)
    for chooses in ("one", "any", None):
        assert distance(wanted, wanted, chooses).item() == pytest.approx(0.0, abs=1e-6)


def test_the_loss_is_zero_at_first_and_adds_up_over_passes(
    site: Site, run: Path, tmp_path: Path
) -> None:
    """However a step is cut into passes, what it holds is the same."""
    cfg = site.config(*OLD, NEW, init__run=str(run), init__keep="distill", trunk__dropout=0.0)
    ready = prepared(cfg, tmp_path)
    begin(cfg, ready.model, resumes=False, tell=lambda line: None)
    teacher = ready.model.teacher
    assert isinstance(teacher, Teacher)
    ready.model.eval()  # Heads have dropout of their own.
    sums = []
    for tokens in (4096, 40):
        collator = ready.data.collator(ready.data.train)
        collator.budget = tokens
        passes = collator(ready.data.planner.step(0))
        with torch.no_grad():
            found = [ready.model.training_pass(one).held for one in passes]
        assert all(one is not None for one in found)
        assert float(sum(found)) == pytest.approx(0.0, abs=1e-5)  # type: ignore[arg-type]
        for parameter in ready.model.trunk.parameters():
            parameter.data += 0.01
        with torch.no_grad():
            found = [ready.model.training_pass(one).held for one in passes]
        for parameter in ready.model.trunk.parameters():
            parameter.data -= 0.01
        sums.append(float(sum(found)))  # type: ignore[arg-type]
    assert len(passes) > 1
    assert sums[0] > 0
    assert sums[0] == pytest.approx(sums[1], rel=1e-4)


@pytest.mark.slow
def test_old_answers_move_less(site: Site, run: Path, tmp_path: Path) -> None:
    """A new task alone is trained: how far the old heads' answers are from what they were."""
    moved = []
    for keep in ("nothing", "distill"):
        changes = {"init__run": str(run), "init__rehearse": 0.0, "init__keep": keep}
        cfg = site.config(*OLD, NEW, **changes, init__weight=20.0, trainer__max_steps=12)
        train(cfg, tmp_path / keep)
        ready = prepared(cfg, tmp_path / "new")
        begin(cfg, ready.model, resumes=False, tell=lambda line: None)
        teacher = ready.model.teacher or Teacher(ready.model, list(OLD), 1.0)
        teacher.weight = 1.0
        ready.model.teacher = teacher
        trunk = {
            name.partition(":")[2]: value
            for name, value in saved(tmp_path / keep).items()
            if name.startswith("model.")
        }
        ready.model.trunk.model.load_state_dict(trunk, strict=False)
        ready.model.eval()
        (one,) = ready.data.collator(ready.data.train)(ready.data.planner.step(0))[:1]
        with torch.no_grad():
            held = ready.model.training_pass(one).held
        assert held is not None
        moved.append(float(held))
    assert moved[1] < 0.7 * moved[0]


@pytest.mark.slow
def test_a_resumed_run_ends_as_one_never_stopped(site: Site, run: Path, tmp_path: Path) -> None:
    changes = {"init__run": str(run), "init__rehearse": 0.5, "init__keep": "distill"}
    cfg = site.config(*OLD, NEW, **changes, trainer__max_steps=6)
    first = cfg.model_copy(deep=True)
    first.trainer.max_steps = 3
    first.schedule.name = "constant"
    cfg.schedule.name = "constant"
    whole = train(cfg, tmp_path / "again")
    train(first, tmp_path / "cut")
    cfg.resume = str(tmp_path / "cut")
    resumed = train(cfg, tmp_path / "cut")
    assert resumed == whole
    assert differing(saved(tmp_path / "cut"), saved(tmp_path / "again")) == []


def test_a_resumed_run_needs_its_teacher(site: Site, run: Path, tmp_path: Path) -> None:
    cfg = site.config(*OLD, NEW, init__run=str(run), init__keep="distill", trainer__max_steps=2)
    train(cfg, tmp_path)
    cfg.resume, cfg.init.run = str(tmp_path), str(tmp_path / "gone")
    cfg.trainer.max_steps = 4
    with pytest.raises(MtlError, match=r"`init`.*no such folder"):
        train(cfg, tmp_path)


@pytest.mark.slow
def test_inner_layers_and_heads_that_score_together(site: Site, tmp_path: Path) -> None:
    """A copied trunk notes its own inner layers, and states are held for a task that writes."""
    config = helpers.llama_config(num_hidden_layers=2, hidden_size=8)
    trunk = str(helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer()))
    quick = {"trainer__max_steps": 1, "trainer__test": False, "trunk__path": trunk}
    cfg = site.config(*OLD, "gist", **quick)
    for name in OLD:
        cfg.tasks[name].head = {"layer_mix": True}
    train(cfg, tmp_path / "old")
    more = {"init__run": str(tmp_path / "old"), "init__keep": "distill"}
    new = site.config(*OLD, "gist", NEW, **more, **quick)
    for name in OLD:
        new.tasks[name].head = {"layer_mix": True}
    ready = prepared(new, tmp_path)
    begin(new, ready.model, resumes=False, tell=lambda line: None)
    assert ready.model.teacher is not None
    assert set(ready.model.teacher.heads) == set(OLD)
    assert ready.model.teacher.holds_states
    ready.model.eval()
    for one in ready.data.collator(ready.data.train)(ready.data.planner.step(0)):
        with torch.no_grad():
            held = ready.model.training_pass(one).held
        assert held is not None
        assert float(held) == pytest.approx(0.0, abs=1e-5)
    train(new, tmp_path / "new")
