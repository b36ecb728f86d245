"""Out of memory: what to lower is said, and a budget that fits is found, changing nothing else."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import LambdaCallback

from mtl.errors import TrainingError
from mtl.training import budget as budgets
from mtl.training import trainer as trainers
from mtl.training.budget import FINENESS, largest_budget, scale_tokens
from mtl.training.checkpoint import read_checkpoint
from mtl.training.description import read_description
from mtl.training.memory import _container, _left_in, free_memory, is_out_of_memory
from mtl.training.model import MultiTaskModel
from mtl.training.run import train
from mtl.types import Step
from tests.training.resuming import STEP, check_equal, killed, resumed
from tests.training.site import (
    Site,
    differing,
    fit,
    module_of,
    prepared,
    weights,
)

ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"
        " memory: you tried to allocate 4096 bytes."
    ),
    "not enough": RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."
    ),
    "python": MemoryError(),
}


def limit_passes(patch: pytest.MonkeyPatch, tokens: int, error: BaseException) -> list[int]:
    """Let memory run out in passes of more tokens, padding included; returns all sizes tried."""
    original = MultiTaskModel._score
    tried: list[int] = []

    def limited(self: MultiTaskModel, batch: Any, hidden: Any) -> Any:
        tried.append(batch.trunk.input_ids.numel())
        if tried[-1] > tokens:
            raise error
        return original(self, batch, hidden)

    patch.setattr(MultiTaskModel, "_score", limited)
    return tried


@pytest.mark.parametrize("kind", ERRORS)
def test_the_sentence_says_what_to_lower(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    limit_passes(monkeypatch, 10, ERRORS[kind])
    with pytest.raises(TrainingError) as stopped:
        train(site.config("ner", trunk__max_length=32), tmp_path)
    said = str(stopped.value)
    assert "`batching.tokens` (40)" in said
    assert "`trunk.max_length` (32)" in said
    assert "trainer.auto_scale_tokens=true" in said
    assert "\n" not in said
    assert ("tried to allocate" in said) == (kind != "python")


def test_other_errors_stay_what_they_are(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_passes(monkeypatch, 10, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        train(site.config("ner"), tmp_path)
    assert not is_out_of_memory(ValueError("out of memory"))


@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 4000))
def test_the_search_is_right_to_one_part(least: int, more: int, limit: int) -> None:
    most = least + more
    tried: list[int] = []

    def fits(budget: int) -> bool:
        assert least <= budget <= most
        tried.append(budget)
        return budget <= limit

    found = largest_budget(fits, least, most)
    if limit < least:
        assert found is None
    else:
        assert found is not None
        best = min(limit, most)
        assert found <= best
        assert best - found <= max(1, best // FINENESS)
    assert len(tried) == len(set(tried)) <= 24


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cuda", "cpu"])
@pytest.mark.parametrize("limit", [60, 100, 10_000])
def test_a_budget_that_fits_is_found(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: int,
    kind: str,
) -> None:
    """The run is that of the same budget given by hand, bit for bit, and so is its resumption."""
    options = {"trainer__max_steps": 5, "logger__names": ["csv"], "batching__tokens": 16}
    options |= {"callbacks__checkpoint__every_n_train_steps": 2, "trainer__log_every_n_steps": 3}
    names = ("ner", "rating")
    tried = limit_passes(monkeypatch, limit, ERRORS[kind])
    cfg = site.config(*names, trainer__auto_scale_tokens=True, **options)
    (tmp_path / "scaled").mkdir()
    train(cfg, tmp_path / "scaled")
    last = read_checkpoint(tmp_path / "scaled" / "checkpoints" / "last.ckpt")
    found = last["mtl"]["config"]["batching"]["tokens"]
    assert f"batching.tokens={found}" in capsys.readouterr().err
    about = read_description(tmp_path / "scaled" / "model")
    assert about.tokens == found  # For `mtl evaluate`.
    assert found <= limit
    assert max(tried) > limit or limit == 10_000
    assert found > limit / 2 or limit == 10_000
    by_hand = site.config(*names, **{**options, "batching__tokens": found})
    train(by_hand, tmp_path / "by-hand")
    check_equal(tmp_path / "scaled", tmp_path / "by-hand")

    with killed(*STEP, 4):
        train(cfg, tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(trainers, "scale_tokens", None)  # a resumed run does not look again
        train(resumed(cfg, tmp_path / "killed"), tmp_path / "killed")
    check_equal(tmp_path / "killed", tmp_path / "scaled")


def test_nothing_but_the_budget_changes(site: Site, tmp_path: Path) -> None:
    ready = prepared(site.config("ner", "gist"), tmp_path)
    module = module_of(site.config("ner"), ready)
    module.model.trunk.eval()
    before, modes = weights(module), [m.training for m in module.modules()]
    with budgets._as_before(module):
        generator = torch.random.get_rng_state()
        for part in module.modules():
            part.train()
        for parameter in module.parameters():
            parameter.grad = torch.ones_like(parameter)
        torch.rand(3)
        for buffer in module.buffers():
            buffer.add_(1)
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert [m.training for m in module.modules()] == modes
    assert all(p.grad is None for p in module.parameters())
    assert differing(weights(module), before) == []


def test_cpu_budgets_stay_below_the_memory_that_is_free(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is promised that is not there, what a pass keeps is counted."""
    ready = prepared(site.config("ner", "rating"), tmp_path)
    module = module_of(site.config("ner"), ready)
    scale: Any = partial(scale_tokens, ready.data)
    found = []
    for power in range(14, 29, 2):
        monkeypatch.setattr(budgets, "free_memory", lambda device, power=power: 2**power)
        try:
            fit(module, ready.data, callbacks=[LambdaCallback(on_fit_start=scale)])
            found.append(ready.data.batching.tokens)
        except TrainingError as error:
            assert "longest document" in str(error)  # noqa: PT017
            found.append(0)
    assert found[0] == 0
    assert found == sorted(found)
    assert len(set(found)) >= 3
    assert found[-1] == found[-2]  # More than a step ever has is of no use.


def limited() -> None:
    """Run in a child: its own limit is what is free, and more than that cannot be had."""
    import resource

    device = torch.device("cpu")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = 200_000_000
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    free = free_memory(device)
    assert free is not None
    assert room * 3 / 4 < free <= room
    try:
        torch.ones(room + 10_000_000, dtype=torch.uint8)
    except RuntimeError as error:
        assert is_out_of_memory(error), error  # noqa: PT017
        os._exit(0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_real_limit_is_known_and_its_error_understood() -> None:
    child = os.fork()
    if not child:
        try:
            limited()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_containers_have_limits_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 250\n")
    assert _left_in(tmp_path) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in(tmp_path) is None
    assert free_memory(torch.device("meta")) is None
    assert (free_memory(torch.device("cpu")) or 1) > 0


def test_both_versions_of_control_groups(tmp_path: Path) -> None:
    own, root = tmp_path / "cgroup", tmp_path / "fs"
    places = {
        root / "memory" / "a": ("memory.limit_in_bytes", "memory.usage_in_bytes", "1000"),
        root / "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", str(2**63 - 4096)),
        root / "c": ("memory.max", "memory.current", "3000"),
    }
    for folder, (limit, used, most) in places.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / limit).write_text(f"{most}\n")
        (folder / used).write_text("700\n")
        (folder / "memory.stat").write_text("cache 9\ntotal_inactive_file 200\n")
    for text, left in (
        ("9:cpu,cpuacct:/a\n4:memory:/a\n0::/\n", 500),
        ("0::/c\n", 2500),
        ("9:cpu:/c\n", None),
        ("nonsense\n", None),
    ):
        own.write_text(text)
        assert _container(root, own) == left
    assert _container(root, tmp_path / "nowhere") is None


def test_processes_share_a_cpus_memory_and_keep_what_learning_takes(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared(site.config("ner", "gist"), tmp_path)
    module = module_of(site.config("ner"), ready)
    monkeypatch.setattr(budgets, "free_memory", lambda device: 10**8)
    taken = 3 * 4 * sum(p.numel() for p in module.parameters())
    for processes in (1, 4):
        trainer: Any = SimpleNamespace(num_devices=processes)
        assert budgets._Trial(trainer, module, ready.data).free == 10**8 // processes - taken
    next(module.parameters()).requires_grad_(False)
    less = budgets._Trial(trainer, module, ready.data).free
    assert less == 10**8 // 4 - taken + 3 * 4 * next(module.parameters()).numel()


def test_each_tasks_longest_documents_must_fit(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of shorter documents may take more memory for each token."""
    ready = prepared(site.config("ner", "gist"), tmp_path)
    module = module_of(site.config("ner"), ready)
    trainer: Any = SimpleNamespace(num_devices=1)
    for only, name in enumerate(("ner", "gist")):
        step = ready.data.longest_step(40, only)
        assert all(set(batch.heads) == {name} for batch in step.micro_batches)
        lengths = ready.data.train[only].lengths
        read = step.micro_batches[0].heads[name].examples
        assert max(lengths[i] for i in read) == lengths.max()
    trial = budgets._Trial(trainer, module, ready.data)
    passes: list[set[str]] = []

    def fits(step: Step) -> bool:
        passes.append(set(step.denominators))
        return passes[-1] == {"ner"}

    monkeypatch.setattr(trial, "_fits", fits)
    assert not trial.fits(40)
    assert passes == [{"ner"}, {"gist"}]
