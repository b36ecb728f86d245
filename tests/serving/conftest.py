"""One tiny run with every kind of answer that a page shows: tags, labels, answers, summaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from mtl.inference.predictor import RowPredictor
from mtl.serving.app import Serving, create_app
from mtl.serving.settings import Limits, Settings
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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    base = tmp_path_factory.mktemp("served")
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


@pytest.fixture(scope="session")
def model(served: Path) -> RowPredictor:
    """The run's model; the servers of tests answer with it one after the other."""
    return RowPredictor(served, "cpu")


@contextmanager
def client_of(
    model: RowPredictor, limits: Limits | None = None, **settings: Any
) -> Iterator[TestClient]:
    """Yield a client of a server within this process."""
    serving = Serving({"run": model}, Settings(limits or Limits(), **settings))
    serving.batcher.start()
    try:
        with TestClient(create_app(serving), raise_server_exceptions=False) as client:
            client.serving = serving  # type: ignore[attr-defined]
            yield client
    finally:
        serving.close()
        serving.batcher.join(10)


@pytest.fixture
def client(model: RowPredictor) -> Iterator[TestClient]:
    """A client of a server with the usual settings."""
    with client_of(model) as found:
        yield found


def read_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the server-sent events of an answer."""
    found = []
    for block in text.strip().split("\n\n"):
        kind, data = block.split("\n")
        values = json.loads(data.removeprefix("data: "))
        found.append((kind.removeprefix("event: "), values))
    return found
