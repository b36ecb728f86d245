"""A frozen trunk runs once: then its states come from the disk, and nothing else changes."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy

import mtl.training.run as training
import mtl.training.state_cache as state_cache
from mtl.config.schema import Config
from mtl.data.cached_states import StateWriter, places
from mtl.data.columns import file_of
from mtl.data.loaders import EvalLoader
from mtl.errors import ConfigError
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.trunk.trunk import Trunk
from mtl.types import CachedStates, MicroBatch, Step
from tests import helpers
from tests.training.resuming import check_equal, killed, resumed, run_config
from tests.training.site import Site, fit, metrics, module_of, prepared
from tests.training.test_spans import config as span_config
from tests.training.test_spans import corpus
from tests.trunk.families import save_family

FROZEN: dict[str, Any] = {"tuning__name": "frozen", "trunk__dropout": 0.0}
STEPS = 7
Disk = namedtuple("Disk", "total used free")


def config(site: Site, *names: str, **changes: Any) -> Config:
    """Two epochs and a bit, with dropout in the heads."""
    options = {"trainer__max_steps": STEPS, **FROZEN, **changes}
    cfg = site.config(*(names or ("ner", "sentiment")), **options)
    for name, task in cfg.tasks.items():
        task.head["dropout"] = 0.1
        if name == "gist":
            task.head["tied"] = False
        if name == "sentiment":
            task.head["pooling"] = "mean"
    return cfg


class Losses(L.Callback):
    """Keeps each step's losses."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.found.append(pl_module.training_logs["train/loss"])


def losses(cfg: Config, folder: Path, *, kept: bool, **options: Any) -> tuple[list[float], Any]:
    """Return the losses of some steps, and the validation's results."""
    ready = prepared(cfg, folder)
    callbacks: list[L.Callback] = [found := Losses()]
    if kept:
        callbacks.append(state_cache.StateCache(folder / "states", forced=True))
    module = module_of(cfg, ready, STEPS)
    trainer = fit(module, ready.data, steps=STEPS, callbacks=callbacks, **options)
    assert set(ready.data.cached) == ({"train", "val"} if kept else set())
    trainer.validate(module, datamodule=ready.data, verbose=False)
    return found.found, dict(module.results)


def check_same(cfg: Config, folder: Path, rel: float = 1e-6, **options: Any) -> None:
    plain, one = losses(cfg, folder, kept=False, **options)
    found, other = losses(cfg, folder, kept=True, **options)
    assert len(set(plain)) == STEPS
    assert found == pytest.approx(plain, rel=rel, abs=1e-6)
    assert other == pytest.approx(one, rel=10 * rel, abs=1e-5)


def test_losses_and_scores_are_the_same(site: Site, tmp_path: Path) -> None:
    """Of tasks that share documents, with means of states, with branches."""
    check_same(config(site, "ner", "sentiment", "rating", "gist"), tmp_path)


@pytest.mark.parametrize("max_length", [8])
def test_documents_in_windows(site: Site, tmp_path: Path, max_length: int) -> None:
    check_same(
        config(site, trunk__max_length=max_length, trunk__stride=2, batching__tokens=60), tmp_path
    )


@pytest.mark.parametrize("layout", ["branch", "joint"])
def test_questions(site: Site, tmp_path: Path, layout: str) -> None:
    """All questions of a document read the same states of it."""
    data = corpus(tmp_path / "data", impossible=True)
    cfg = span_config(site, data, layout, **FROZEN)
    check_same(cfg, tmp_path)
    ready = prepared(cfg, tmp_path)
    collator = ready.data.collator(ready.data.train)
    store = ready.data.train[0]
    groups: dict[int, list[tuple[int, int]]] = {}
    for index, key in enumerate(store.keys.tolist()):
        groups.setdefault(key, []).append((0, index))
    read = sum(len(e.part) for e in store.examples)
    _, count = places(collator, list(groups.values()))
    assert count < read / 2 if layout == "branch" else count <= read


@pytest.mark.parametrize("family", ["bert", "t5", "bart", "gpt2"])
def test_other_trunks(site: Site, tmp_path: Path, family: str) -> None:
    tokenizer = helpers.bpe_tokenizer() if family == "gpt2" else helpers.wordpiece_tokenizer()
    path = save_family(family, tmp_path, tokenizer)
    names = ["ner", "sentiment"] if family == "bert" else ["ner", "sentiment", "gist"]
    check_same(config(site, *names, trunk__path=str(path)), tmp_path)


def test_reading_both_ways(site: Site, tmp_path: Path) -> None:
    cfg = config(site, "ner", "sentiment", "gist", trunk__attention="bidirectional")
    cfg.tasks["sentiment"].attention = "causal"
    check_same(cfg, tmp_path)


@pytest.mark.filterwarnings("ignore:.*bf16")
def test_half_precision(site: Site, tmp_path: Path) -> None:
    """To its own precision: passes of other shapes round otherwise."""
    check_same(config(site), tmp_path, rel=1e-3, precision="bf16-mixed")


def count_passes(patch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the trunk's passes in a run, those of tokens and those of known states.

    Those that measure what a trunk can do when it is loaded do not count.
    """
    counts = {"run": 0, "known": 0}
    original = Trunk.forward

    def forward(self: Trunk, batch: Any) -> Any:
        counts["known" if isinstance(batch, CachedStates) else "run"] += 1
        return original(self, batch)

    def prepare(*args: Any) -> Any:
        ready = load(*args)
        counts.update(run=0, known=0)
        return ready

    load = training.prepare
    patch.setattr(Trunk, "forward", forward)
    patch.setattr(training, "prepare", prepare)
    return counts


def test_the_trunk_runs_once(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_passes(monkeypatch)
    before: list[dict[str, int]] = []
    original = MultiTaskModule.training_step

    def step(self: MultiTaskModule, step: Step, batch_idx: int) -> None:
        before.append(dict(counts))
        original(self, step, batch_idx)

    monkeypatch.setattr(MultiTaskModule, "training_step", step)
    options = {"trainer__max_steps": 12, "trainer__val_check_interval": 4, "trainer__test": False}
    train(config(site, **options), tmp_path)
    assert before[0]["run"] > 0
    assert counts["run"] == before[0]["run"]
    assert counts["known"] > 12 + 3
    assert not (tmp_path / "states").exists(), "a finished run keeps no states"


def test_training_with_states_needs_no_tokens(site: Site, tmp_path: Path) -> None:
    ready = prepared(config(site), tmp_path)
    plain = [ready.data.train_dataloader().step(n) for n in range(5)]
    fit(
        module_of(config(site), ready),
        ready.data,
        callbacks=[state_cache.StateCache(tmp_path / "states", forced=True)],
    )
    found = [ready.data.train_dataloader().step(n) for n in range(5)]
    for one, other in zip(plain, found, strict=True):
        assert other.tokens == one.tokens
        assert other.denominators == one.denominators
        pairs: list[tuple[MicroBatch, MicroBatch]]
        pairs = list(zip(one.micro_batches, other.micro_batches, strict=True))
        for batch, kept in pairs:
            assert isinstance(kept.source, CachedStates)
            for name, part in batch.heads.items():
                assert kept.heads[name].examples == part.examples
                assert kept.heads[name].sizes == part.sizes


def shared(site: Site, folder: Path, **changes: Any) -> Config:
    """A run whose states are in a folder of their own, after one epoch."""
    options = {"tuning__cache_dir": str(folder), "trainer__max_steps": 2, "trainer__test": False}
    return config(site, **{**options, **changes})


def tables(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of all entries."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "states").iterdir())


def test_runs_share_a_folder(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "shared"
    train(shared(site, folder), tmp_path / "one")
    assert capsys.readouterr().err.count("are kept in") == 2
    kept = tables(folder)
    assert len(entries(folder)) == 2
    counts = count_passes(monkeypatch)
    train(shared(site, folder, head__lr=0.1, seed=7), tmp_path / "two")
    assert counts["run"] == 0
    assert capsys.readouterr().err.count("are read from") == 2
    assert tables(folder) == kept


@pytest.mark.parametrize(
    "changes",
    [
        {"trunk__pretrained": False},
        {"trunk__attention": "bidirectional"},
        {"trainer__precision": "bf16-mixed"},
        {"batching__tokens": 60},
    ],
    ids=["weights", "attention", "precision", "batching"],
)
@pytest.mark.filterwarnings("ignore:.*bf16")
def test_states_of_another_run_are_not_taken(
    site: Site, tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = tmp_path / "shared"
    train(shared(site, folder), tmp_path / "one")
    train(shared(site, folder, **changes), tmp_path / "two")
    assert len(entries(folder)) == 4


def test_states_of_other_texts_are_not_taken(site: Site, tmp_path: Path) -> None:
    folder, data = tmp_path / "shared", shutil.copytree(site.data, tmp_path / "data")
    train(shared(site, folder), tmp_path / "one")
    cfg = shared(site, folder)
    text = (data / "train.jsonl").read_text(encoding="utf-8")
    (data / "train.jsonl").write_text(text.replace("soup", "soap"), encoding="utf-8")
    for task in cfg.tasks.values():
        task.data.source = str(data)
    train(cfg, tmp_path / "two")
    assert len(entries(folder)) == 3, "those of validation are the same"


def flip(path: Path) -> None:
    found = bytearray(path.read_bytes())
    found[-3] ^= 64
    path.write_bytes(found)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut])
def test_damaged_states_are_made_anew(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    folder = tmp_path / "shared"
    train(shared(site, folder), tmp_path / "one")
    kept = tables(folder)
    for path in entries(folder):
        damage(file_of(path, "states"))
    assert tables(folder) != kept
    capsys.readouterr()
    train(shared(site, folder), tmp_path / "two")
    said = capsys.readouterr().err
    assert said.count("damaged (") == 2
    assert tables(folder) == kept
    assert metrics(tmp_path / "one") == metrics(tmp_path / "two")


def test_one_pass_needs_no_states(site: Site, tmp_path: Path) -> None:
    cfg = config(site, trainer__max_steps=2)
    train(cfg, tmp_path)
    assert not (tmp_path / "states").exists()


def test_a_trunk_with_dropout(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its states differ in every epoch: nothing is kept, and both ways say so."""
    cfg = config(site, trunk__dropout=0.2, trainer__max_steps=8, trainer__test=False)
    train(cfg, tmp_path / "auto")
    assert "trunk.dropout=0 keeps them" in capsys.readouterr().err
    forced = config(site, trunk__dropout=0.2, tuning__cache="true")
    with pytest.raises(ConfigError, match=r"`tuning\.cache` to be auto .*attention_dropout"):
        train(forced, tmp_path / "true")


def test_a_folder_that_is_a_file(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared").write_text("x")
    train(shared(site, tmp_path / "shared", trainer__max_steps=8), tmp_path / "auto")
    assert "every epoch runs the frozen trunk, since" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"`tuning\.cache`.*shared.*: Not a directory"):
        train(shared(site, tmp_path / "shared", tuning__cache="true"), tmp_path / "true")


def test_a_trunk_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    trainer: Any = SimpleNamespace(strategy=ModelParallelStrategy(), datamodule=None)
    module: Any = SimpleNamespace(model=None)
    state_cache.StateCache(Path(), forced=False).on_fit_start(trainer, module)
    assert "each process holds a part" in capsys.readouterr().err


def test_a_disk_with_too_little_room(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(state_cache.shutil, "disk_usage", lambda folder: Disk(9, 8, 1000))
    options = {"trainer__max_steps": 8, "trainer__test": False}
    train(config(site, **options), tmp_path / "auto")
    said = capsys.readouterr().err
    assert "every epoch runs the frozen trunk" in said
    assert "has 1 kB free, of which it takes at most 50% unasked" in said
    with pytest.raises(ConfigError, match=r"would take .* has 1 kB free\."):
        train(config(site, tuning__cache="true", **options), tmp_path / "true")


def test_a_disk_that_fills_up(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StateWriter, "write", full)
    folder = tmp_path / "shared"
    cfg = shared(site, folder, trainer__max_steps=8)
    train(cfg, tmp_path / "auto")
    assert "No space left on device" in capsys.readouterr().err
    assert tables(folder) == {}
    with pytest.raises(ConfigError, match="No space left on device"):
        train(shared(site, folder, tuning__cache="true"), tmp_path / "true")
    assert tables(folder) == {}


@pytest.mark.parametrize("where", ["filling", "training"])
def test_killed_and_resumed(site: Site, tmp_path: Path, where: str) -> None:
    cfg = run_config(site, **FROZEN)
    train(cfg, tmp_path / "whole")
    owner, name = {
        "filling": (StateWriter, "write"),
        "training": (MultiTaskModule, "training_step"),
    }[where]
    with killed(owner, name, 3):
        train(cfg, tmp_path / "run")
    if where == "training":
        train(resumed(cfg, tmp_path / "run"), tmp_path / "run")
    else:
        train(cfg, tmp_path / "run")
    check_equal(tmp_path / "run", tmp_path / "whole")


def test_the_ranks_share_the_work(site: Site, tmp_path: Path) -> None:
    """Each writes its own passes into one file, which is what one process writes."""
    cfg = config(site, batching__tokens=16)
    ready = prepared(cfg, tmp_path)
    trunk = ready.model.trunk
    made = state_cache.StateCache(tmp_path / "one", forced=True)
    fit(module_of(cfg, ready), ready.data, callbacks=[made])
    states, at = ready.data.cached["train"]
    whole = max((tmp_path / "one").rglob("states.bin"), key=lambda path: path.stat().st_size)
    collator = ready.data.collator(ready.data.train)
    passes = EvalLoader(collator, ready.data.train, max_branches=16).passes
    assert len(passes) > 2
    writer = StateWriter(len(states), states.read(at[0][0]).shape[1], states.dtype)
    writer.create(tmp_path)
    work = state_cache.Work("train", whole.parent.name, at, len(states), passes, collator)
    for rank in (1, 0):
        for planned in passes[rank::2]:
            batch = collator.planned(planned)
            with torch.no_grad():
                work.write(writer, tmp_path, batch, trunk.eval())
    assert file_of(tmp_path, "states").read_bytes() == whole.read_bytes()
