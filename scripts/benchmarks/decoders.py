"""Random decoders with a tokenizer of a corpus's own, and the rows that a peer trains on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from scripts.benchmarks.ours import SKIPPED, Training, norm
from scripts.benchmarks.peers.trainer import Peer, padded
from scripts.benchmarks.runner import Check, Prepared, Ratio
from scripts.train_tokenizer import tokenizer_config, train

T = TypeVar("T")
LAYERS, WIDTH, INNER, HEADS, POSITIONS = 6, 384, 1024, 6, 1024


def trunk_folder(
    cache: Path, name: str, vocabulary: int, texts: Callable[[], Iterable[str]]
) -> Path:
    """Return the folder of a Llama with random weights, made on the first call.

    It has 6 layers of width 384, and output weights tied to its embeddings. The tokenizer is
    trained on `texts`; both follow from the arguments alone.

    Args:
        cache: Where folders are kept.
        name: Of the folder.
        vocabulary: Tokens of the model, and at most so many of the tokenizer.
        texts: Gives the corpus.
    """
    folder = cache / name
    if folder.is_dir():
        return folder
    from transformers import LlamaConfig, LlamaForCausalLM

    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=cache, prefix=f".{name}-"))
    train(texts(), vocabulary).save(str(made / "tokenizer.json"))
    options = tokenizer_config() | {"model_max_length": POSITIONS}
    (made / "tokenizer_config.json").write_text(json.dumps(options, indent=2) + "\n", "utf-8")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        LlamaForCausalLM(config).save_pretrained(made)
    try:
        made.rename(folder)
    except OSError:  # Another process was first.
        shutil.rmtree(made)
    return folder


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return `count` items at even distances, the middle of each stretch."""
    return [items[int((n + 0.5) * len(items) / count)] for n in range(count)]


def evenly(items: Sequence[T], size: Callable[[T], int], count: int) -> list[T]:
    """Return about `count` items of every size, in an order that does not follow it."""
    some = spread(sorted(items, key=size), count)
    return [item for start in range(7) for item in some[start::7]]


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows as JSON lines and return the path."""
    beside = path.with_suffix(".part")
    beside.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    beside.replace(path)
    return path


def causal_rows(training: Training) -> list[dict[str, Any]]:
    """Return a row of its own for each example: document, prompt, target; loss on the target."""
    rows = []
    for example in training.prepared.data.train[0].examples:
        labels = example.targets["labels"].tolist()
        read = [*example.documents[0].tolist(), *example.branches[0].ids.tolist()]
        ids = [*read, labels[-1]]
        rows.append({"input_ids": ids, "labels": [-100] * (len(ids) - len(labels)) + labels})
    return rows


def peer_model(training: Training) -> Any:
    """Return transformers' own causal language model with the first weights of a run's trunk."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(training.cfg.trunk.path, dtype=torch.float32)


def grouped_batches(rows: Sequence[dict[str, Any]], batch: int) -> list[list[dict[str, Any]]]:
    """Cut rows, sorted by length, into full batches: no length grouping pads less."""
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    return [ordered[at : at + batch] for at in range(0, len(ordered) - batch + 1, batch)]


def grouped_peer(training: Training, batch: int, steps: int) -> Peer:
    """Return the Trainer on batches of like length, `steps` of them as they are on average.

    A few steps cannot hold an epoch of batches of every length, and the Trainer begins with the
    longest; so it is given two of the shortest batches, which are not timed, and then `steps` at
    even distances among all of them.

    Args:
        training: A run on so many examples that rows of a batch are of nearly one length.
        batch: Examples a step.
        steps: That are timed.
    """
    batches = grouped_batches(causal_rows(training), batch)
    chosen = [*batches[:1] * SKIPPED, *spread(batches, steps)]
    rows = [row for each in chosen for row in each]
    return Peer(peer_model(training), rows, padded(0), batch=batch, grouped=None)


def against_peer(
    training: Training, peer: Peer, batches: int, few: int, unit: str, target: float
) -> Prepared:
    """Return a case of a decoder that writes, and of the Trainer on the same examples.

    Args:
        training: Our side.
        peer: The other, which draws its batches from more examples, so that they pad less.
        batches: Our steps a round.
        few: The peer's.
        unit: Of examples a second.
        target: Of the ratio.
    """
    rows = causal_rows(training)
    ours = training.loss()
    norms = norm([p.grad for p in training.model.parameters()])
    theirs = peer.loss([rows[i] for _, i in training.pairs()])

    def rate(side: Any, steps: int) -> float:
        timing = side.round(steps + SKIPPED)
        return float(timing.examples / timing.seconds)

    other = "HF Trainer, grouped"
    return Prepared(
        unit=unit,
        sides={"mtl": lambda: rate(training, batches), other: lambda: rate(peer, few)},
        ratios=[Ratio("against HF Trainer, length grouping", "mtl", other, target)],
        checks=[
            Check("the loss", ours, theirs[0], 1e-5),
            Check("the gradients' norm", norms, theirs[1], 1e-4),
        ],
        warm_up=False,  # Every round begins with steps that are not timed.
    )
