"""Small corpora from file to prediction: what was learned by words is found in raw texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtl.inference.predictor import Predictor
from tests import helpers
from tests.inference.conftest import write_jsonl
from train import main as train

Train = Callable[..., Predictor]
pytestmark = pytest.mark.slow


@pytest.fixture
def learn(tmp_path: Path) -> Train:
    """Train on a tiny random decoder until the corpus is known by heart."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 256}
    trunk = helpers.save_tiny(
        tmp_path / "trunk", helpers.llama_config(**sizes), helpers.bpe_tokenizer()
    )

    def go(*overrides: str) -> Predictor:
        common = [
            "trunk=hf", f"trunk.path={trunk}", "trunk.lr=3e-3", "head.lr=1e-2", "logger=none",
            "batching.examples=16", "trainer.max_steps=150", "trainer.val_check_interval=150",
            "trainer.threads=1", "trainer.progress=false", f"hydra.run.dir={tmp_path / 'run'}",
        ]  # fmt: skip
        assert train([*overrides, *common]) == 0
        return Predictor(tmp_path / "run", "cpu")

    return go


def entities(answer: Any) -> list[tuple[str, str, int]]:
    return [(e["text"], e["label"], e["start"]) for e in answer["entities"]]


def conll(path: Path, sentences: list[list[tuple[str, str]]]) -> Path:
    lines = ("".join(f"{word}\t{label}\n" for word, label in one) for one in sentences)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_chinese_by_character(tmp_path: Path, learn: Train) -> None:
    sentences = []
    for name in ("李明", "王芳芳", "赵大海"):
        for town in ("松江", "石桥镇"):
            for middle in ("在", "离开了", "到"):
                tags = [(c, "BI"[n > 0] + "-PER") for n, c in enumerate(name)]
                tags += [(c, "O") for c in middle]
                tags += [(c, "BI"[n > 0] + "-LOC") for n, c in enumerate(town)]
                sentences.append([*tags, ("。", "O")])
    file = conll(tmp_path / "all.conll", sentences)
    predictor = learn("task=ner", *(f"tasks.ner.data.{s}={file}" for s in ("train", "validation")))
    text = "王芳芳离开了松江。"
    raw, words = predictor.predict([{"text": text}, {"tokens": list(text)}])
    assert entities(raw["ner"]) == [("王芳芳", "PER", 0), ("松江", "LOC", 6)]
    assert raw == words


def test_handles_and_clitics(tmp_path: Path, learn: Train) -> None:
    sentences = [
        [("Ask", "O"), (name, "B-PER"), ("about", "O"), (other, "B-PER"), ("'s", "O"),
         ("sea", "O"), ("-", "O"), ("side", "O"), ("hats", "O"), (".", "O")]
        for name in ("@rosa_q", "@bo_lyme", "@cy_1") for other in ("Quill", "Okonkwo")
    ]  # fmt: skip
    file = conll(tmp_path / "all.conll", sentences)
    predictor = learn("task=ner", *(f"tasks.ner.data.{s}={file}" for s in ("train", "validation")))
    (answer,) = predictor.predict([{"text": "Ask @bo_lyme about Quill's sea-side hats."}])
    assert entities(answer["ner"]) == [("@bo_lyme", "PER", 4), ("Quill", "PER", 19)]


FLIGHTS = [
    ("show flights from {a} to {b}", "flight"),
    ("what does it cost from {a} to {b} ?", "fare"),
    ("is there a bus from {a} to {b}", "ground"),
]
TOWNS = ["Lyme", "Otley", "Ambleside", "St Ives"]


def test_slots_and_intents_of_one_corpus(tmp_path: Path, learn: Train) -> None:
    rows = []
    for pattern, intent in FLIGHTS:
        for a in TOWNS:
            b = TOWNS[TOWNS.index(a) - 1]
            words, labels = [], []
            for part in pattern.split():
                name = {"{a}": a, "{b}": b}.get(part, part)
                kind = {"{a}": "from", "{b}": "to"}.get(part)
                for number, word in enumerate(name.split()):
                    words.append(word)
                    labels.append(f"{'I' if number else 'B'}-{kind}" if kind else "O")
            rows.append({"text": " ".join(words), "words": words, "slots": labels, "goal": intent})
    file = write_jsonl(tmp_path / "all.jsonl", rows)
    predictor = learn(
        "task=ner,sentiment",
        *(f"tasks.{t}.data.{s}={file}" for t in ("ner", "sentiment") for s in ("train", "test")),
        "tasks.ner.columns={text: text, tokens: words, labels: slots}",
        "tasks.sentiment.columns={text: text, label: goal}",
        "tasks.ner.data.validation_fraction=0.2",
        "tasks.sentiment.data.validation_fraction=0.2",
    )
    known = json.loads((tmp_path / "run" / "model" / "mtl.json").read_text())
    assert known["tasks"]["sentiment"]["state"]["labels"] == ["fare", "flight", "ground"]
    (answer,) = predictor.predict([{"text": rows[5]["text"]}])
    assert answer["sentiment"]["label"] == rows[5]["goal"] == "fare"
    assert entities(answer["ner"]) == [("Otley", "from", 23), ("Lyme", "to", 32)]
