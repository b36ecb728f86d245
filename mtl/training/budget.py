"""``trainer.auto_scale_tokens``: the largest token budget of a pass that fits into memory.

Tried with real passes, forward and backward, over the longest documents of the training data: a
doubling budget until one does not fit, then halving the distance. Nothing of the run changes but
the budget: weights, buffers, gradients and generators are as before.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import lightning as L
import torch
from torch import Tensor

from mtl.config.schema import Config
from mtl.data.datamodule import MultiTaskData
from mtl.errors import TrainingError
from mtl.reporting.console import note
from mtl.training.memory import free_memory, is_out_of_memory
from mtl.training.module import MultiTaskModule
from mtl.training.parts import divided
from mtl.types import MicroBatch, Step

FINENESS = 16
"""The budget is found to one part in so many, and one part is left free."""
SLACK = 2.0
"""On a CPU: memory that a pass takes, over what its backward pass keeps."""


def largest_budget(fits: Callable[[int], bool], least: int, most: int) -> int | None:
    """Return the largest budget that fits, to one part in `FINENESS`; None if not even the least.

    Args:
        fits: Whether a budget fits; larger ones than one that does not are not tried.
        least: The smallest budget that makes a difference.
        most: The largest.
    """
    if not fits(least):
        return None
    good, bad = least, most + 1
    while good < most:
        step = min(good * 2, most) if bad > most else (good + bad) // 2
        if bad <= most and bad - good <= max(1, good // FINENESS):
            break
        if fits(step):
            good = step
        else:
            bad = step
    return good


def scale_tokens(data: MultiTaskData, trainer: L.Trainer, module: MultiTaskModule) -> None:
    """Find the budget before training begins, and tell data and module.

    Every rank looks for its own; the smallest counts for all.

    Raises:
        TrainingError: If not even the longest document fits alone.
    """
    with _as_before(module), _room_for_optimizer(module):
        own = _search(trainer, module, data)
    budgets = trainer.strategy.all_gather(torch.tensor(own or 0, device=module.device))
    budget = int(torch.as_tensor(budgets).min())
    if not budget:
        raise TrainingError(
            "trainer.auto_scale_tokens: Expected the longest document to fit into memory, but it "
            "does not, even alone; lower `trunk.max_length`, or try "
            "trunk.gradient_checkpointing=true, trainer.precision=bf16-mixed or a smaller trunk."
        )
    data.batching = data.batching.model_copy(update={"tokens": budget})
    module.cfg = with_budget(module.cfg, budget)
    note(f"trainer.auto_scale_tokens: batching.tokens={budget}")


def with_budget(cfg: Config, tokens: int) -> Config:
    """Return a configuration with another ``batching.tokens``."""
    return cfg.model_copy(update={"batching": cfg.batching.model_copy(update={"tokens": tokens})})


def _search(trainer: L.Trainer, module: MultiTaskModule, data: MultiTaskData) -> int | None:
    least = heaviest(data.longest_step(1)).tokens_at_once
    most = max(least, heaviest(data.longest_step(None)).trunk.tokens_with_padding)
    trial = _Trial(trainer, module, data)
    budget = largest_budget(trial.fits, least, most)
    if budget is None or budget == most:
        return budget
    # A pass of shorter documents fills a budget better than the longest could.
    return max(least, trial.largest - trial.largest // FINENESS)


class _Trial:
    def __init__(self, trainer: L.Trainer, module: MultiTaskModule, data: MultiTaskData) -> None:
        self.trainer = trainer
        self.module = module
        self.data = data
        self.free = self._free() if module.device.type == "cpu" else None
        """Bytes, where memory that is not there is promised all the same."""
        self.per_token = 0.0
        """Bytes that a pass took for each token, at most."""
        self.largest = 0
        """Tokens, padding included, of the largest pass that did fit."""

    def _free(self) -> int | None:
        """Return this process's share of what is free, without what learning takes in any case.

        That is a gradient and AdamW's two moments for each weight, and each task's own gradient
        where a balancing asks for it: an empty tensor holds no memory
        on a CPU until it is written to.
        """
        free = free_memory(self.module.device)
        if free is None:
            return None
        learning = [p for p in self.module.parameters() if p.requires_grad]
        taken = 3 * sum(p.numel() * p.element_size() for p in learning)
        taken += sum(math.prod(shape) * 4 for shape in _rows(self.module))
        return max(0, free // self.trainer.num_devices - taken)

    def fits(self, budget: int) -> bool:
        """Whether passes of every task's longest documents fit.

        A task that predicts tokens takes more memory for each than one that labels documents,
        though its documents may be shorter.
        """
        tasks = range(len(self.data.train)) if len(self.data.train) > 1 else [None]
        return all(self._fits(self.data.longest_step(budget, only)) for only in tasks)

    def _fits(self, step: Step) -> bool:
        batch = self._at_once(heaviest(step))
        size = batch.tokens_at_once
        if self.free is not None and size * self.per_token * SLACK > self.free:
            return False
        kept: dict[int, int] = {}
        try:
            with torch.autograd.graph.saved_tensors_hooks(_counting(kept), lambda tensor: tensor):
                self._pass(batch, step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            self.module.zero_grad(set_to_none=True)
            if self.module.device.type == "cuda":
                torch.cuda.empty_cache()
        own = {p.untyped_storage().data_ptr() for p in self.module.parameters()}
        taken = sum(size for place, size in kept.items() if place not in own)
        self.per_token = max(self.per_token, taken / size)
        fits = self.free is None or taken * SLACK <= self.free
        self.largest = max(self.largest, size if fits else 0)
        return fits

    def _at_once(self, batch: MicroBatch) -> MicroBatch:
        """Return a pass, or the first part of it where not all of its rows are run at once."""
        if batch.rows is None or self.module.model.touch:
            return replace(batch, rows=None)
        heads = {name: self.module.model.head(name) for name in batch.heads}
        part = next(divided(batch, heads)).batch
        read = {name: found for name, found in part.heads.items() if found.targets}
        return replace(part, heads=read) if read else batch

    def _pass(self, batch: MicroBatch, step: Step) -> None:
        module = self.module
        batch = batch.to(module.device)
        with module.gradients.without_sync(), module.pass_context():
            with self.trainer.precision_plugin.train_step_context():
                loss = module.gradients.pass_loss(batch, step)
            module.manual_backward(loss)


def heaviest(step: Step) -> MicroBatch:
    """Return the pass of which the most tokens are run at once, padding included."""
    return max(step.micro_batches, key=lambda batch: batch.tokens_at_once)


def _counting(kept: dict[int, int]) -> Callable[[Tensor], Tensor]:
    """Return a hook that notes the size of each storage that the backward pass keeps."""

    def note_size(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    return note_size


def _rows(module: MultiTaskModule) -> list[tuple[int, int]]:
    """Return the shape of the tasks' own gradients, where they are kept apart."""
    tasks, rows = module.gradients.balancing.tasks, module.gradients.by_task
    return [rows.room(len(tasks))] if rows is not None else []


@contextlib.contextmanager
def _room_for_optimizer(module: MultiTaskModule) -> Iterator[None]:
    """Hold as much memory as AdamW's two moments, and tasks' own gradients, will take."""
    learning = [p for p in module.parameters() if p.requires_grad]
    held = [torch.empty_like(p) for p in learning for _ in range(2)]
    held += [torch.empty(shape, device=module.device) for shape in _rows(module)]
    try:
        yield
    finally:
        held.clear()


@contextlib.contextmanager
def _as_before(module: MultiTaskModule) -> Iterator[None]:
    """Leave generators, buffers, gradients and modes as they were."""
    modes = {part: part.training for part in module.modules()}
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    devices = [module.device] if module.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            module.train()
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        with torch.no_grad():
            for name, value in module.named_buffers():
                value.copy_(buffers[name])
        module.zero_grad(set_to_none=True)
