"""Examples a second in training on AESLC, subject lines of e-mails written by a decoder, 16 a step.

Both sides read the same tokens, and the decoder has a vocabulary of 50,000. The peer has a row for
each e-mail, padded to the longest of a batch, and projects every token onto the vocabulary.
"""

from __future__ import annotations

import json
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

EXAMPLES = 16
VOCABULARY = 50_000


def emails(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the e-mails of AESLC's training file."""
    assert settings.data is not None
    with (settings.data / "aeslc" / "train.jsonl").open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def trunk(settings: Settings) -> Path:
    """Return the decoder's folder; its tokenizer is trained on the e-mails."""

    def texts() -> Iterator[str]:
        return (each["document"] + "\n" for each in emails(settings))

    return trunk_folder(settings.cache, "aeslc-llama-50k", VOCABULARY, texts)


def run_of(settings: Settings, count: int) -> Training:
    """Return a run on so many e-mails, of every length."""
    some = evenly(list(emails(settings)), lambda each: len(each["document"]), count)
    file = write_lines(settings.cache / f"aeslc-{count}.jsonl", some)
    data = "tasks.summarization.data"
    line = [
        "task=summarization",
        "trunk=hf",
        f"trunk.path={trunk(settings)}",
        f"{data}.source=null",
        f"{data}.train={file}",
        f"{data}.validation={file}",
        f"{data}.max_examples={EXAMPLES}",
        f"{data}.max_train_examples={count}",
        "tasks.summarization.columns={text: document, target: subject}",
        'tasks.summarization.options.prompt="\\nSubject:"',
        "tasks.summarization.options.max_new_tokens=16",
        f"batching.examples={EXAMPLES}",
        "logger=csv",
        "seed=1",
    ]
    return Training(line, settings.threads)


def prepare(settings: Settings) -> Prepared:
    """Build both sides; the peer draws its batches from more e-mails, so that they pad less."""
    batches, few = settings.pick(9, 3), settings.pick(6, 1)
    training = run_of(settings, batches * EXAMPLES)
    peer = grouped_peer(run_of(settings, settings.pick(1600, 160)), EXAMPLES, few)
    return against_peer(training, peer, batches, few, "examples/s", 2.4)


CASE = Case(
    "summarization",
    "AESLC, subjects written by a 30M decoder, 16 e-mails a step",
    prepare,
    ("aeslc",),
)
