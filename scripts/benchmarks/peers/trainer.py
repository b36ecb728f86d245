"""The side of the Hugging Face Trainer, timed like ours."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from scripts.benchmarks.ours import SKIPPED, Timing

Rows = Sequence[dict[str, Any]]
SAMPLING = {True: "group_by_length", False: "random", None: "sequential"}


class Clock(TrainerCallback):  # type: ignore[misc]
    """Times the steps after the first few, loading between them included."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.start = self.end = 0.0
        self.first = self.tokens = self.steps = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Count one step."""
        del args, control, rest
        self.end = time.perf_counter()
        tokens = int(state.num_input_tokens_seen)
        if state.global_step <= SKIPPED:
            self.start, self.first = self.end, tokens
            return
        self.steps += 1
        self.tokens = tokens - self.first

    def timing(self) -> Timing:
        """Return what was counted."""
        return Timing(self.end - self.start, self.steps, self.tokens, self.steps * self.batch)


class Peer:
    """A Trainer that can be started again and again from the same weights.

    Args:
        model: Copied for every round.
        rows: Each with ``input_ids`` and ``labels``.
        collate: Pads a batch.
        batch: Examples a step.
        grouped: Whether rows of like length share a batch; at random if not; as they come if None.
        lr: Highest learning rate.
        bf16: Whether to train in mixed precision.
    """

    def __init__(
        self,
        model: Any,
        rows: Rows,
        collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
        *,
        batch: int,
        grouped: bool | None,
        lr: float = 1e-4,
        bf16: bool = False,
    ) -> None:
        self.model, self.rows, self.collate = model, list(rows), collate
        self.batch, self.grouped, self.lr, self.bf16 = batch, grouped, lr, bf16

    def round(self, steps: int, callbacks: Sequence[TrainerCallback] = ()) -> Timing:
        """Train from the first weights and time it."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        clock = Clock(self.batch)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                seed=1,
                max_steps=steps,
                per_device_train_batch_size=self.batch,
                train_sampling_strategy=SAMPLING[self.grouped],
                learning_rate=self.lr,
                lr_scheduler_type="linear",
                warmup_steps=0.1,
                optim="adamw_torch_fused",
                weight_decay=0.01,
                max_grad_norm=1.0,
                include_num_input_tokens_seen="non_padding",
                logging_steps=10,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                bf16=self.bf16,
            )
            trainer = Trainer(
                model=copy.deepcopy(self.model).train(),
                args=arguments,
                data_collator=self.collate,
                train_dataset=self.rows,
                callbacks=[clock, *callbacks],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return clock.timing()

    def loss(self, rows: Rows) -> tuple[float, float]:
        """Return the loss of some rows and the norm of its gradients; dropout is off."""
        from scripts.benchmarks.ours import norm

        model = copy.deepcopy(self.model).eval()
        found = model(**self.collate(list(rows))).loss
        found.backward()
        return float(found.detach()), norm([p.grad for p in model.parameters()])


def padded(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Return a collator that pads ids, and labels with -100, to the longest row."""

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in rows)

        def fill(values: Sequence[int], with_: int) -> list[int]:
            return [*values, *[with_] * (width - len(values))]

        return {
            "input_ids": torch.tensor([fill(r["input_ids"], pad) for r in rows]),
            "labels": torch.tensor([fill(r["labels"], -100) for r in rows]),
            "attention_mask": torch.tensor([fill([1] * len(r["input_ids"]), 0) for r in rows]),
        }

    return collate
