"""A tiny run with every kind of answer that a page shows: tags, labels, answers, summaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests import helpers
from tests.trunk.writers import save_writer
from train import main as train

TEXTS = ["Ines Talbot left Brackwater.", "The Lantern was open, and nobody asked why."]
QUESTIONS = ["Who left?", "Left what?"]
LABELS = ["positive", "negative", "neutral"]
SUMMARY = """\
# @package tasks.summary
type: generation
columns: {text: text, target: summary}
options: {max_new_tokens: 12, max_target_tokens: 12}
"""
ROW: dict[str, Any] = {
    "text": TEXTS[0],
    "words": ["Ines", "Talbot", "left", "Brackwater"],
    "tags": ["B-PER", "I-PER", "O", "B-LOC"],
    "summary": "Ines left.",
    "questions": [{"question": QUESTIONS[0], "answer": "Ines Talbot", "start": 0}],
}


def train_tiny(base: Path) -> Path:
    """Train in a folder that is there; returns the run's folder."""
    for split in ("train", "validation", "test"):
        rows = [{**ROW, "id": n, "sentiment": label} for n, label in enumerate(LABELS * 2)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (base / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    (base / "conf" / "task").mkdir(parents=True)
    (base / "conf" / "task" / "summary.yaml").write_text(SUMMARY, encoding="utf-8")
    trunk = save_writer(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    names = ("ner", "sentiment", "qa", "summary")
    argv = [
        f"task={','.join(names)}",
        "--config-dir",
        str(base / "conf"),
        *(f"tasks.{name}.data.source={base}" for name in names),
        "tasks.ner.columns={text: text, tokens: words, labels: tags}",
        "trunk=hf",
        f"trunk.path={trunk}",
        "head.lr=0.3",
        "trainer.max_steps=2",
        "trainer.threads=1",
        "trainer.progress=false",
        "logger=none",
        f"hydra.run.dir={base / 'run'}",
    ]
    assert train(argv) == 0
    torch.use_deterministic_algorithms(False)
    return base / "run"
