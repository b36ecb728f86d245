"""Nested and overlapping spans: from files to what is predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import DataConfig
from mtl.data.sources import Wanted, load_splits
from mtl.errors import ConfigError, DataError
from mtl.inference.predictor import RowPredictor
from mtl.metrics.nested import NestedScores
from mtl.tasks.base import remarks, row_check
from mtl.tasks.span_classification import SpanClassification
from mtl.training.model import make_task
from tests import helpers
from tests.tasks.samples import NESTED, Sample, encoder, every, place, score_of
from train import main as train

GERMEVAL = """\
#\tn-1 [2026-01-01]
1\tDer\tO\tO
2\tSkerrower\tB-ORG\tB-LOCderiv
3\tSV\tI-ORG\tO
4\tsiegt\tO\tO

1\tIn\tO\tO
2\tLyme\tB-LOC\tO
"""
LEVELS = {"tokens": 1, "labels": 2, "inner": 3}


def task_of(**options: Any) -> SpanClassification:
    task = make_task("nested", "span_classification", options=options, head={})
    assert isinstance(task, SpanClassification)
    return task


def read(path: Path, columns: dict[str, Any], **options: Any) -> tuple[list[Any], list[str]]:
    task = task_of()
    check, _ = row_check(task)
    data = DataConfig(train=str(path), test=str(path), **options)
    wanted = {"nested": Wanted(data, columns, task.roles(), check)}
    splits = load_splits(wanted, 0, only=("test",))["nested"]
    assert splits.test is not None
    rows = [
        (row["tokens"], {(s["start"], s["end"], s["label"]) for s in row["spans"]})
        for row in splits.test
    ]
    return rows, [*splits.notes, *remarks(task)]


def test_two_levels_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(GERMEVAL)
    rows, notes = read(path, LEVELS, format="conll")
    assert rows == [
        (["Der", "Skerrower", "SV", "siegt"], {(1, 3, "ORG"), (1, 2, "LOCderiv")}),
        (["In", "Lyme"], {(1, 2, "LOC")}),
    ]
    assert not [note for note in notes if "no row has column" in note]
    assert read(path, {"tokens": 1, "labels": [2, 3]}, format="conll")[0] == rows
    with pytest.raises(ConfigError, match=r"`tasks.nested.columns.labels` to be one column's"):
        read(path, {"tokens": 1, "labels": [2, 3, 3]}, format="conll")
    rows, _ = read(path, {"tokens": 1, "labels": 2}, format="conll")
    assert rows[0][1] == {(1, 3, "ORG")}


def test_spans_of_tools_keep_what_overlaps(tmp_path: Path) -> None:
    spans = [[0, 12, "ORG"], [0, 7, "LOC"], [8, 17, "X"], [3, 5, "CUT"], [90, 91, "X"]]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Skerrow Town left", "label": spans}) + "\n")
    columns = {"text": "text", "tokens": "tokens", "labels": "ner_tags", "inner": "level"}
    rows, notes = read(path, columns)
    assert rows == [
        (
            ["Ske", "rr", "ow", "Town", "left"],
            {(0, 4, "ORG"), (0, 3, "LOC"), (3, 5, "X"), (1, 2, "CUT")},
        )
    ]
    assert notes == [
        "tasks.nested: 1 span begins or ends inside a word, which is split there.",
        "tasks.nested: 1 span lies outside of the text: left out.",
    ]


def test_spans_that_are_too_long_are_said_and_missed() -> None:
    sample = Sample("span_classification", NESTED, options={"max_width": 2})
    task, rows = sample.task(), sample.placed()
    examples = every(task, rows)
    assert remarks(task) == [
        "tasks.sample: 1 span is longer than 2 words (`options.max_width`), and not learned."
    ]
    found = score_of(task, (task.baseline(examples)(examples), examples))
    assert found["recall"] == 0.0
    metric = task.metrics()["spans"]
    metric.update(**task.feed(task.baseline(examples)(examples), examples))
    assert metric.rows()[0].gold == 7


def test_a_label_that_training_lacks() -> None:
    task = Sample("span_classification", NESTED).task()
    row = {"tokens": ["a"], "spans": [{"start": 0, "end": 1, "label": "PERS"}]}
    (placed,) = place([row])
    (tokens,) = encoder().tokenize(["a"])
    with pytest.raises(DataError, match=r"data.jsonl:1: .*'PERS'.*Did you mean 'PER'"):
        task.encode(placed, tokens, encoder(), "causal")


def test_labels_that_mark_nothing() -> None:
    task = Sample("span_classification", [{"tokens": ["a"], "spans": []}])
    with pytest.raises(DataError, match=r"`tasks.sample.data.train` to have spans, but none"):
        task.task()


@given(st.integers(0, 10**6))
def test_what_is_decoded_is_what_was_encoded(seed: int) -> None:
    """Logits that say exactly what the targets say give the spans back."""
    random = np.random.default_rng(seed)
    sample = Sample("span_classification", NESTED, options={"max_width": 4})
    task, rows = sample.task(), sample.placed()
    examples = every(task, [rows[i] for i in random.permutation(len(rows))])
    logits = []
    for example in examples.encoded:
        bits = torch.from_numpy(example.targets["spans"])
        on = (bits[:, None, :] >> torch.arange(4)[:, None]) & 1
        logits.append(on.flatten(1).float() * 8 - 4)
    outputs = task.decode(torch.cat(logits), examples)
    for output, example in zip(outputs, examples.encoded, strict=True):
        assert sorted(output.spans.tolist()) == sorted(example.extra["spans"].tolist())
    assert score_of(task, (outputs, examples)) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}


def test_scores_are_strict() -> None:
    scores = NestedScores(["A", "B"])
    truth = np.asarray([[0, 2, 0], [1, 1, 0], [0, 2, 1]])
    guess = np.asarray([[0, 2, 0], [1, 1, 1], [0, 1, 0], [0, 2, 0]])
    scores.update([guess, truth[:0]], [truth, truth[:1]])
    total, first, second = scores.rows()
    assert (total.correct, total.predicted, total.gold) == (1, 3, 4)
    assert (first.type, first.correct, first.predicted, first.gold) == ("A", 1, 2, 3)
    assert (second.type, second.correct, second.predicted, second.gold) == ("B", 0, 1, 1)
    assert scores.compute() == pytest.approx({"f1": 2 / 7, "precision": 1 / 3, "recall": 1 / 4})


CLUBS, TOWNS = ["Rowing", "Chess", "Garden"], ["Skerrow", "Lyme", "Ambleside", "Otley"]


def corpus(count: int) -> list[dict[str, Any]]:
    """Return texts with names inside of names: a town in its club."""
    found = []
    for number in range(count):
        town, club = TOWNS[number % 4], CLUBS[number % 3]
        text = f"The {town} {club} Club met." if number % 2 else f"They left {town} early."
        start = text.index(town)
        spans = [[start, start + len(town), "LOC"]]
        if number % 2:
            spans.append([start, text.index(" met"), "ORG"])
        found.append({"id": number, "text": text, "label": spans})
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_nested_names_from_file_to_prediction(tmp_path: Path, kind: str) -> None:
    """Beside another task, in windows shorter than the texts."""
    file = tmp_path / "all.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in corpus(24)))
    sizes = {"hidden_size": 32, "intermediate_size": 64}
    if kind == "decoder":
        config, tokenizer = helpers.llama_config(**sizes), helpers.bpe_tokenizer()
    else:
        from transformers import BertConfig

        config, tokenizer = BertConfig(**helpers.shape(**sizes)), helpers.wordpiece_tokenizer()
    trunk = helpers.save_tiny(tmp_path / "trunk", config, tokenizer)
    code = train(
        [
            "task=nested_entities,ner",
            *(f"tasks.{t}.data.{s}={file}" for t in ("ner", "nested_entities")
              for s in ("train", "validation", "test")),
            *(f"tasks.{t}.data.format=doccano" for t in ("ner", "nested_entities")),
            "trunk=hf", f"trunk.path={trunk}", "trunk.lr=2e-3", "head.lr=1e-2",
            "trunk.max_length=16", "trunk.stride=4", "batching.examples=16",
            "trainer.max_steps=300", "trainer.val_check_interval=300", "trainer.threads=1",
            "trainer.progress=false", "logger=none", f"hydra.run.dir={tmp_path / 'run'}",
        ]
    )  # fmt: skip
    assert code == 0
    assert (
        json.loads((tmp_path / "run" / "metrics.json").read_text())["test/nested_entities/f1"] > 0.9
    )
    (answer,) = RowPredictor(tmp_path / "run", "cpu").predict(
        [{"text": "The Lyme Chess Club met."}]
    )
    entities = [(e["text"], e["label"], e["start"]) for e in answer["nested_entities"]["entities"]]
    assert entities == [("Lyme Chess Club", "ORG", 4), ("Lyme", "LOC", 4)]
