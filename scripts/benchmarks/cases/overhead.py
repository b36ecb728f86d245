"""What Lightning, mixing, metrics and logging add to the arithmetic of a step."""

from __future__ import annotations

import time

import torch

from mtl.training.module import drop_zeros
from mtl.training.optim import build_optimizer, build_schedule, clip, gradient_norm
from scripts.benchmarks.ours import SKIPPED, Training
from scripts.benchmarks.runner import Case, Check, Prepared, Ratio, Settings

LINE = ["task=[ner,sentiment]", "trunk=tiny", "balancing=sum", "logger=csv", "seed=1"]


def bare(training: Training, steps: int) -> tuple[float, float]:
    """Take the run's steps, collated beforehand, in a plain loop; returns seconds and last loss."""
    model = training.model
    model.load_state_dict(training.start)
    model.train()
    cfg = training.cfg
    optimizer = build_optimizer(model, cfg)
    schedule = build_schedule(optimizer, cfg.schedule, training.prepared.data.steps)
    loader = training.prepared.data.train_dataloader()
    ready = [loader.step(number) for number in range(steps)]
    start, total = 0.0, torch.zeros(())
    for number, step in enumerate(ready):
        if number == SKIPPED:
            start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for batch in step.micro_batches:
            total = torch.zeros(())
            for name, found in model(batch).items():
                targets = batch.heads[name].targets
                total = total + model.head(name).loss(found, targets, step.denominators[name])
            total.backward()
        drop_zeros(model.trunk.part_time())
        learning = [p for p in model.parameters() if p.requires_grad]
        clip(learning, cfg.trainer.gradient_clip_val, gradient_norm(learning))
        optimizer.step()
        schedule.step()
    return time.perf_counter() - start, float(total.detach())


def prepare(settings: Settings) -> Prepared:
    """Build the run; both sides share its model and its batches."""
    training = Training(
        [*LINE, "tasks.ner.head.dropout=0", "tasks.sentiment.head.dropout=0", "trunk.dropout=0"],
        settings.threads,
    )
    steps = settings.pick(60, 10)
    bare(training, SKIPPED + 2)
    plain = {n: p.detach().clone() for n, p in training.model.named_parameters()}
    training.round(SKIPPED + 2)
    ours = training.model.state_dict()
    difference = max(float((ours[n] - p).abs().max()) for n, p in plain.items())
    return Prepared(
        unit="seconds",
        sides={
            "mtl": lambda: training.round(steps).seconds,
            "bare loop": lambda: bare(training, steps)[0],
        },
        ratios=[Ratio("seconds of a step", "mtl", "bare loop", 1.03, at_least=False)],
        checks=[Check("the weights after four steps", 1 + difference, 1.0, 1e-6)],
    )


CASE = Case("overhead", "the whole training step, bundled NER and sentiment", prepare)
