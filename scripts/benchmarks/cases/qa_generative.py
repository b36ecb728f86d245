"""Answers a second in training on SQuAD, written by a decoder, 16 a step.

Both sides read the same tokens. The peer has a row for each question, as causal language models
are usually trained: paragraph, question and answer, padded to the longest of a batch, and every
token projected onto the vocabulary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.benchmarks.decoders import (
    against_peer,
    evenly,
    grouped_peer,
    trunk_folder,
    write_lines,
)
from scripts.benchmarks.ours import Training
from scripts.benchmarks.runner import Case, Prepared, Settings

ANSWERS = 16
VOCABULARY = 32_000


def articles(settings: Settings) -> list[dict[str, Any]]:
    """Return the articles of SQuAD's training file."""
    assert settings.data is not None
    text = (settings.data / "squad" / "train-v1.1.subset.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text)["data"]
    return found


def trunk(settings: Settings) -> Path:
    """Return the decoder's folder; its tokenizer is trained on the paragraphs."""

    def paragraphs() -> Iterator[str]:
        for article in articles(settings):
            yield from (p["context"] + "\n" for p in article["paragraphs"])

    return trunk_folder(settings.cache, "squad-llama-32k", VOCABULARY, paragraphs)


def questions(settings: Settings, count: int) -> Path:
    """Return a file of paragraphs of every length, with at least `count` questions in all."""
    found = [p for a in articles(settings) for p in a["paragraphs"]]
    share = count / sum(len(p["qas"]) for p in found)
    some = evenly(found, lambda p: len(p["context"]), math.ceil(len(found) * share * 1.1))
    rows = [row(p["context"], q) for p in some for q in p["qas"]]
    assert len(rows) >= count
    return write_lines(settings.cache / f"squad-{count}.jsonl", rows)


def row(text: str, question: dict[str, Any]) -> dict[str, Any]:
    """Return a question's row, for a task that finds answers and for one that writes them."""
    answers = [{"text": a["text"], "start": a["answer_start"]} for a in question["answers"]]
    target = [a["text"] for a in answers]
    return {"text": text, "question": question["question"], "answers": answers, "target": target}


def line(settings: Settings, task: str, count: int) -> list[str]:
    """Return what `train.py` is told of trunk and data."""
    path = trunk(settings)
    file = questions(settings, count)
    data = f"tasks.{task}.data"
    return [
        f"task={task}",
        "trunk=hf",
        f"trunk.path={path}",
        "trunk.max_length=384",
        f"{data}.source=null",
        f"{data}.train={file}",
        f"{data}.validation={file}",
        f"{data}.max_examples={ANSWERS}",
        f"{data}.max_train_examples={count}",
        f"batching.examples={ANSWERS}",
        "logger=csv",
        "seed=1",
    ]


def generative(settings: Settings, count: int) -> Training:
    """Return a run on so many questions whose answers are written."""
    columns = "tasks.qa_generative.columns"
    more = [f"{columns}.question=question", f"{columns}.target=target"]
    return Training([*line(settings, "qa_generative", count), *more], settings.threads)


def prepare(settings: Settings) -> Prepared:
    """Build both sides; the peer draws its batches from more questions, so that they pad less."""
    batches, few = settings.pick(15, 3), settings.pick(5, 1)
    training = generative(settings, batches * ANSWERS)
    peer = grouped_peer(generative(settings, settings.pick(1600, 160)), ANSWERS, few)
    return against_peer(training, peer, batches, few, "answers/s", 6)


CASE = Case(
    "qa_generative",
    "SQuAD, answers written by a 22M decoder, 16 answers a step",
    prepare,
    ("squad",),
)
