"""Answers a second in training on SQuAD, written by a decoder, 16 a step.

Both sides read the same tokens. The peer has a row for each question, as causal language models
are usually trained: paragraph, question and answer, padded to the longest of a batch, and every
token projected onto the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.benchmarks.decoders import causal_rows, grouped_peer, spread, trunk_folder
from scripts.benchmarks.ours import SKIPPED, Training, norm
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

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
    found.sort(key=lambda p: (len(p["context"]), p["context"]))
    total = sum(len(p["qas"]) for p in found)
    some = spread(found, -(-count * len(found) * 11 // (total * 10)))
    while sum(len(p["qas"]) for p in some) < count:
        some = spread(found, len(some) + 1)
    # The first rows of a file are taken: without this they would be those of short paragraphs.
    some = [p for start in range(7) for p in some[start::7]]
    rows = [row(p["context"], q) for p in some for q in p["qas"]]
    path = settings.cache / f"squad-{count}.jsonl"
    beside = path.with_suffix(".part")
    beside.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    beside.replace(path)
    return path


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


def prepare(settings: Settings) -> Prepared:
    """Build both sides."""
    batches, few = settings.pick(15, 3), settings.pick(5, 1)
    given = [
        *line(settings, "qa_generative", batches * ANSWERS),
        "tasks.qa_generative.columns.question=question",
        "tasks.qa_generative.columns.target=target",
    ]
    training = Training(given, settings.threads)
    peer = grouped_peer(training, ANSWERS, few, SKIPPED)
    rows = causal_rows(training)
    ours = training.loss()
    norms = norm([p.grad for p in training.model.parameters()])
    theirs = peer.loss([rows[i] for _, i in training.pairs()])

    def rate(side: Any, steps: int) -> float:
        timing = side.round(steps + SKIPPED)
        return float(timing.examples / timing.seconds)

    return Prepared(
        unit="answers/s",
        sides={
            "mtl": lambda: rate(training, batches),
            "HF Trainer, grouped": lambda: rate(peer, few),
        },
        ratios=[Ratio("against HF Trainer, length grouping", "mtl", "HF Trainer, grouped", 6)],
        checks=[
            Check("the loss", ours, theirs[0], 1e-5),
            Check("the gradients' norm", norms, theirs[1], 1e-4),
        ],
        warm_up=False,  # Every round begins with steps that are not timed.
    )


CASE = Case(
    "qa_generative",
    "SQuAD, answers written by a 22M decoder, 16 answers a step",
    prepare,
    ("squad",),
)
