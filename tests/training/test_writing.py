"""Runs with a task that writes: resumed, on two ranks, saved, loaded, and started from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mtl.training.run as training
from mtl.config.schema import Config
from mtl.inference.evaluator import score
from mtl.inference.predictor import RowPredictor
from mtl.metrics.scores import TextScores
from mtl.metrics.texts import RougeScoring
from mtl.training.checkpoint import AtomicCheckpointIO
from mtl.training.model_io import load_model, save_model, start_from
from mtl.training.module import MultiTaskModule
from mtl.training.run import train
from mtl.training.setup import Prepared
from mtl.trunk.recall import Recall, Recalled
from tests import helpers
from tests.training.corpus import rows, write_rows
from tests.training.forked import two_ranks
from tests.training.resuming import check_equal, killed, resumed
from tests.training.site import (
    Site,
    change,
    differing,
    fit,
    last_weights,
    metrics,
    module_of,
    prepared,
    weights,
)
from tests.trunk.families import FAMILIES
from tests.trunk.writers import save_writer
from train import main

KINDS = ["tied", "untied", "t5", "t5-untied"]


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Language models with and without weights of their own for the output; not to be changed."""
    folder = tmp_path_factory.mktemp("trunks")
    sizes = {"num_hidden_layers": 1, "hidden_size": 8, "attention_dropout": 0.2}
    found = {}
    for name in ("tied", "untied"):
        config = helpers.llama_config(**sizes, tie_word_embeddings=name == "tied")
        found[name] = save_writer(folder / name, config, helpers.bpe_tokenizer())
    for name in ("t5", "t5-untied"):
        t5 = FAMILIES["t5"]()
        t5.tie_word_embeddings = name == "t5"
        found[name] = save_writer(folder / name, t5, helpers.wordpiece_tokenizer())
    return found


def config(site: Site, trunk: Path, *names: str, **changes: Any) -> Config:
    return site.config(*names, **{"trunk__path": str(trunk), **changes})


def run_config(site: Site, trunk: Path, **changes: Any) -> Config:
    options = {
        "batching__tokens": 40,
        "trainer__max_steps": 5,
        "trainer__val_check_interval": 2,
        "callbacks__checkpoint__every_n_train_steps": 3,
        "tasks__gist__options__validation_examples": 3,
        "logger__names": ["csv"],
    }
    return config(site, trunk, "ner", "gist", **{**options, **changes})


POINTS: dict[str, tuple[Any, str, int]] = {
    "a step": (MultiTaskModule, "training_step", 4),
    "the second validation": (MultiTaskModule, "validation_step", 16),
    "the test": (MultiTaskModule, "test_step", 2),
    "before the final checkpoint": (AtomicCheckpointIO, "save_checkpoint", 4),
    "saving": (training, "save_model", 1),
}
SAMPLING = {"tasks__gist__options__do_sample": True}


@pytest.mark.parametrize(
    ("kind", "head", "changes"),
    [
        pytest.param("untied", {}, {}, id="untied", marks=pytest.mark.slow),
        pytest.param(
            "tied", {"tied": False}, SAMPLING, id="own head, sampling", marks=pytest.mark.slow
        ),
        pytest.param("t5", {}, {}, id="t5", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed(
    site: Site,
    trunks: dict[str, Path],
    tmp_path: Path,
    kind: str,
    head: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    cfg = run_config(site, trunks[kind], **changes)
    change(cfg, "tasks.gist.head", head)
    train(cfg, tmp_path / "whole")
    found = metrics(tmp_path / "whole")
    assert {"val/gist/rougeL", "val/gist/perplexity", "test/gist/rougeL"} <= found.keys()
    for number, (owner, name, call) in enumerate(POINTS.values()):
        run = tmp_path / str(number)
        with killed(owner, name, call):
            train(cfg, run)
        train(resumed(cfg, run), run)
        check_equal(run, tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_equal_one(site: Site, trunks: dict[str, Path], tmp_path: Path) -> None:
    """In some steps one rank alone has texts to learn, in some none has: then nothing of the
    decoder, or of the output layer, decays."""
    few = tmp_path / "few"
    for split, part in (("train", rows(3)), ("validation", rows(5, 16)), ("test", rows(7, 22))):
        write_rows(few / f"{split}.jsonl", part)
    line = [
        "task=ner,summarization",
        f"tasks.ner.data.source={site.data}",
        f"tasks.summarization.data.source={few}",
        "tasks.summarization.columns.target=sentiment",
        "tasks.summarization.options.max_new_tokens=4",
        "tasks.summarization.options.max_target_tokens=12",
        "tasks.ner.head.dropout=0",
        "trunk=hf",
        f"trunk.path={trunks['t5-untied']}",
        "trunk.dropout=0",
        "trunk.lr=1e-2",
        "optimizer.weight_decay=0.5",
        "trainer.accelerator=cpu",
        "trainer.max_steps=8",
        "trainer.val_check_interval=4",
        "trainer.threads=1",
        "trainer.progress=false",
        "batching.examples=4",
        "batching.tokens=40",
        "logger=none",
    ]
    assert main([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    two = [*line, "trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    ended = two_ranks(*two)
    assert ended.returncode == 0, ended.stderr
    one, other = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6, msg=name)
    assert metrics(tmp_path / "two") == pytest.approx(metrics(tmp_path / "one"), rel=1e-5, abs=1e-6)
    assert evidence(tmp_path / "two") == evidence(tmp_path / "one")


def evidence(run: Path) -> dict[str, Any]:
    """Return what the report of a run is made of, as far as it does not depend on rounding."""
    found = {}
    for file in sorted((run / "report").glob("*.json")):
        for name, task in json.loads(file.read_text(encoding="utf-8"))["tasks"].items():
            if isinstance(task, dict):
                places = sorted(sample["place"] for sample in task["samples"])
                found[f"{file.stem}/{name}"] = (task["looked_at"], task["kinds"], places)
    return found


def test_a_validation_leaves_training_as_it_was(
    site: Site, trunks: dict[str, Path], tmp_path: Path
) -> None:
    """Dropout goes on, and no weight depends on how often texts were written."""
    found = []
    for every in (1, 5):
        cfg = run_config(site, trunks["tied"], trainer__val_check_interval=every)
        change(cfg, "callbacks.checkpoint.every_n_train_steps", None)
        train(cfg, tmp_path / str(every))
        found.append(last_weights(tmp_path / str(every)))
    assert differing(*found) == []


def test_an_own_head_learns_on_a_frozen_trunk(
    site: Site, trunks: dict[str, Path], tmp_path: Path
) -> None:
    """Also in passes that have rows of no other task."""
    cfg = config(site, trunks["untied"], "ner", "gist", tuning__name="frozen")
    change(cfg, "tasks.gist.head", {"tied": False})
    ready = prepared(cfg, tmp_path)
    trunk, head = weights(ready.model.trunk), weights(ready.model.heads["gist"])
    fit(module_of(cfg, ready), ready.data, steps=4)
    assert differing(weights(ready.model.trunk), trunk) == []
    assert differing(weights(ready.model.heads["gist"]), head) == ["linear.weight"]


def trained(site: Site, trunk: Path, folder: Path, *names: str, **changes: Any) -> Path:
    train(config(site, trunk, *names, **{"trainer__max_steps": 3, **changes}), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tied", "t5"])
def test_test_scores_are_those_of_an_evaluation_and_of_predictions(
    site: Site, trunks: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Whatever the batches: all rows at once, and one at a time without their targets."""
    run = trained(site, trunks[kind], tmp_path, "ner", "gist", trainer__max_steps=8)
    test = prepared(config(site, trunks[kind], "ner", "gist"), tmp_path).splits["gist"].test
    assert test is not None
    told = {n.split("/")[2]: v for n, v in metrics(run).items() if n.startswith("test/gist/")}
    predictor = RowPredictor(run, "cpu")
    assert score(predictor, {"gist": test})["gist"].scores == pytest.approx(told, rel=1e-5)
    read = [{"text": row["text"]} for row in test]
    together = list(predictor.predict(read, ["gist"]))
    alone = [next(predictor.predict([row], ["gist"])) for row in read]
    assert together == alone
    rouge = TextScores(RougeScoring())
    rouge.update([p["gist"]["text"] for p in together], [row["target"] for row in test])
    assert rouge.compute() == pytest.approx({n: told[n] for n in rouge.compute()})


@pytest.mark.parametrize("kind", ["tied", "t5"])
def test_texts_after_documents_that_another_task_reads(
    site: Site, trunks: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A decoder does not read them again, and writes the same."""
    ready = prepared(config(site, trunks[kind], "ner", "gist"), tmp_path)
    shake(ready)
    save_model(tmp_path / "model", ready.model, ready.encoder, ready.columns)
    test = ready.splits["gist"].test
    assert test is not None
    read = [{"text": row["text"]} for row in test]
    predictor, take = RowPredictor(tmp_path / "model", "cpu"), Recall.take
    taken: list[int] = []

    def counted(recall: Recall, task: str, examples: Sequence[int]) -> list[Recalled]:
        taken.extend(examples)
        return take(recall, task, examples)

    monkeypatch.setattr(Recall, "take", counted)
    alone = [p["gist"] for p in predictor.predict(read, ["gist"])]
    assert not taken
    assert [p["gist"] for p in predictor.predict(read)] == alone
    assert sorted(taken) == ([] if kind == "t5" else list(range(len(read))))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_writes_the_same(
    site: Site, trunks: dict[str, Path], tmp_path: Path, kind: str, tied: bool
) -> None:
    cfg = config(site, trunks[kind], "ner", "gist", seed=5)
    change(cfg, "tasks.gist.head", {"tied": tied})
    change(cfg, "tasks.gist.options.prompt", "\n\n")
    ready = prepared(cfg, tmp_path)
    shake(ready)
    save_model(tmp_path / "model", ready.model, ready.encoder, ready.columns)
    head = load_file(tmp_path / "model" / "head-gist.safetensors")
    assert list(head) == ([] if tied else ["linear.weight"])
    loaded = load_model(tmp_path / "model")
    before, after = weights(ready.model), weights(loaded.model)
    assert differing(before, after) == []
    output = loaded.model.trunk.output
    assert output is not None
    there = output.projection.weight is loaded.model.trunk.model.get_input_embeddings().weight
    assert there == ("untied" not in kind)
    batch = ready.data.train_dataloader().step(0).micro_batches[0]
    ready.model.eval()
    with torch.no_grad():
        some, others = ready.model(batch), loaded.model(batch)
    assert all(torch.equal(some[name], others[name]) for name in some)
    answers = list(RowPredictor(loaded, "cpu").predict([{"text": "Talbot wept ."}]))
    assert isinstance(answers[0]["gist"]["text"], str)


def shake(ready: Prepared) -> None:
    """Move every weight, so that none is what a fresh model has."""
    with torch.no_grad():
        for parameter in ready.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("kind", KINDS)
def test_start_from_a_run_that_writes(
    site: Site, trunks: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Into one that writes, with its output layer, and into one that does not."""
    run = trained(site, trunks[kind], tmp_path / "run", "ner", "gist")
    wanted = load_model(run).model
    again = prepared(config(site, trunks[kind], "gist", "ner", seed=9), tmp_path)
    shake(again)
    assert start_from(again.model, run) == ["gist", "ner"]
    assert differing(weights(again.model.trunk), weights(wanted.trunk)) == []
    reader = prepared(config(site, trunks[kind], "ner", seed=9), tmp_path)
    shake(reader)
    assert start_from(reader.model, run) == ["ner"]
    check_body(reader, wanted.trunk)


def check_body(ready: Prepared, trunk: Any) -> None:
    """The weights below the output layer are those of a trunk."""
    found, wanted = weights(ready.model.trunk.model), weights(trunk.model)
    names = {n for n in found if not n.startswith("lm_head")} & wanted.keys()
    assert len(names) > 5
    assert {n for n in found if not n.startswith("lm_head")} == names
    assert differing({n: found[n] for n in names}, {n: wanted[n] for n in names}) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_start_from_a_run_that_does_not_write(
    site: Site, trunks: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """The output layer, where it has weights of its own, is that of the trunk's folder."""
    run = trained(site, trunks[kind], tmp_path / "run", "ner")
    wanted = load_model(run).model
    ready = prepared(config(site, trunks[kind], "gist", "ner", seed=9), tmp_path)
    before = weights(ready.model.trunk)["projection.weight"]
    assert start_from(ready.model, run) == ["ner"]
    check_body(ready, wanted.trunk)
    after = weights(ready.model.trunk)
    if "untied" in kind:
        assert torch.equal(after["projection.weight"], before)
    output = ready.model.trunk.output
    assert output is not None
    embeddings = ready.model.trunk.model.get_input_embeddings().weight
    assert (output.projection.weight is embeddings) == ("untied" not in kind)


@pytest.mark.slow
def test_a_primary_metric_that_no_guess_has(
    site: Site, trunks: dict[str, Path], tmp_path: Path
) -> None:
    scores = train(
        run_config(site, trunks["tied"], tasks__gist__metric="perplexity"), tmp_path / "run"
    )
    assert "baseline/gist/rougeL" in scores
    assert "baseline/score" not in scores
    shares = [scores["val/ner/f1"], 1 / (1 + scores["val/gist/perplexity"])]
    assert scores["val/score"] == pytest.approx(sum(shares) / 2)
