"""Whole runs of question answering: what can be learned is learned, and kept."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import DataConfig, TaskConfig
from mtl.inference.predictor import RowPredictor
from mtl.training.checkpoint import read_checkpoint
from mtl.training.run import train
from tests import helpers
from tests.training.corpus import write_rows
from tests.training.site import Site, change, metrics

NAMES = ["Ines", "Okonkwo", "Talbot", "Zoe"]
THINGS = ["soup", "mill", "pump", "rain"]


def rows(count: int, seed: int, impossible: bool) -> list[dict[str, Any]]:
    """Return documents, each with a question about its name and one about its thing."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        name, thing = rng.choice(NAMES), rng.choice(THINGS)
        text = f"{rng.choice(['Then', 'So', 'Now'])} {name} saw the {thing} ."
        asked = [{"question": "who", "answer": name}, {"question": "what", "answer": thing}]
        if impossible:
            asked.append({"question": "when", "answer": ""})
        found.append({"text": text, "questions": asked})
    return found


def corpus(folder: Path, impossible: bool) -> Path:
    for seed, (split, count) in enumerate((("train", 48), ("validation", 8), ("test", 8))):
        write_rows(folder / f"{split}.jsonl", rows(count, seed, impossible))
    return folder


def config(site: Site, data: Path, layout: str, **changes: Any) -> Any:
    cfg = site.config(**changes)
    cfg.tasks["qa"] = TaskConfig(
        type="span_extraction",
        data=DataConfig(source=str(data)),
        columns={
            "text": "text",
            "question": "questions[].question",
            "answers": "questions[].answer",
        },
        options={"layout": layout},
        head={"dropout": 0.0},
    )
    for key, value in {
        "trunk.dropout": 0.0,
        "batching.examples": 24,
        "batching.tokens": 2048,
        "trainer.max_steps": 150,
        "trainer.val_check_interval": 75,
    }.items():
        change(cfg, key, value)
    return cfg


@pytest.mark.parametrize(
    ("layout", "impossible"),
    [
        pytest.param("branch", True, id="branch-impossible"),
        pytest.param("joint", False, id="joint-answerable", marks=pytest.mark.slow),
        pytest.param("joint", True, id="joint-impossible", marks=pytest.mark.slow),
        pytest.param("branch", False, id="branch-answerable", marks=pytest.mark.slow),
    ],
)
def test_it_learns_who_and_what(site: Site, tmp_path: Path, layout: str, impossible: bool) -> None:
    run = tmp_path / "run"
    cfg = config(site, corpus(tmp_path / "data", impossible), layout)
    found = train(cfg, run)
    assert found == metrics(run)
    assert found["test/qa/f1"] > 0.9
    assert found["test/qa/em"] > 0.9
    assert found["baseline/qa/f1"] < 0.7
    text = "Then Ines saw the mill ."
    asked = [{"text": text, "question": q} for q in ("who", "what", "when")]
    answers = [answer["qa"] for answer in RowPredictor(run, "cpu").predict(asked)]
    assert [a["answer"] for a in answers[:2]] == ["Ines", "mill"]
    assert text[answers[0]["start"] : answers[0]["end"]] == "Ines"
    assert (answers[2]["answer"] == "") is impossible
    state = read_checkpoint(run / "checkpoints" / "last.ckpt")["mtl"]["tasks"]["qa"]
    assert state["impossible"] is impossible
    assert (state["threshold"] != 0.0) is impossible
    if impossible:
        assert found["test/qa/no_answer_em"] > 0.9


def other_trunk(kind: str, folder: Path) -> Path:
    from transformers import BertConfig, T5Config

    if kind == "encoder":
        config: Any = BertConfig(**helpers.shape(num_hidden_layers=1))
    else:
        sizes = {"vocab_size": 400, "d_model": 16, "d_kv": 8, "d_ff": 24}
        config = T5Config(**sizes, num_layers=1, num_heads=2)
    # Its training gives the same pieces in every process, unlike that of WordPiece.
    return helpers.save_tiny(folder, config, helpers.bpe_tokenizer())


@pytest.mark.parametrize(
    ("kind", "layout", "chosen"),
    [
        ("encoder", "auto", "joint"),
        pytest.param("encoder", "branch", "branch", marks=pytest.mark.slow),
        pytest.param("encoder-decoder", "auto", "joint", marks=pytest.mark.slow),
    ],
)
def test_encoders_learn_it_too(
    site: Site, tmp_path: Path, kind: str, layout: str, chosen: str
) -> None:
    run = tmp_path / "run"
    trunk = other_trunk(kind, tmp_path / "trunk")
    cfg = config(site, corpus(tmp_path / "data", True), layout, trunk__path=str(trunk))
    if kind == "encoder-decoder":
        change(cfg, "trainer.max_steps", 400)  # T5's encoder starts slowly.
    found = train(cfg, run)
    assert found["test/qa/f1"] > 0.8
    predictor = RowPredictor(run, "cpu")
    task = predictor.tasks["qa"]
    assert task.learned.model_dump()["layout"] == chosen
    (answer,) = predictor.predict([{"text": "Now Talbot saw the rain .", "question": "who"}])
    assert answer["qa"]["answer"] == "Talbot"
