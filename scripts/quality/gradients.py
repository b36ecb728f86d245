"""How large each task's gradient is on the trunk that they share, and how much of it is noise.

``python scripts/quality/gradients.py [--steps 24] KEY=VALUE ...`` takes the settings of `train.py`,
draws that run's first steps without learning from them (`init=RUN` measures a trained model),
and prints for each task: the mean norm of
its gradient in a step, and the norm of its mean gradient over the steps, both before any weight.
A task whose steps are large and whose mean is small drowns the others in noise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.config.compose import compose_checked  # noqa: E402
from mtl.training.model_io import start_from  # noqa: E402
from mtl.training.setup import Prepared, prepare  # noqa: E402
from mtl.types import Step  # noqa: E402


def gradient(prepared: Prepared, step: Step, task: str) -> torch.Tensor | None:
    """Return a task's gradient on the trunk in one step, as one vector; None if it has no rows."""
    if task not in step.denominators:
        return None
    trunk = [p for p in prepared.model.trunk.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in trunk))
    for batch in step.micro_batches:
        if task not in batch.heads:
            continue
        part, head = batch.heads[task], prepared.model.head(task)
        logits = head.score(part.read(prepared.model.trunk(batch.trunk)), part.given)
        loss = head.loss(logits, part.given, step.denominators[task])
        found = torch.autograd.grad(loss, trunk, allow_unused=True)
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(trunk, found, strict=True)]
        total += torch.cat([g.flatten() for g in parts])
    return total


def measure(prepared: Prepared, steps: int) -> dict[str, tuple[float, float]]:
    """Return by task: mean norm over steps, and norm of the mean."""
    loader = prepared.data.train_dataloader()
    names = [task.name for task in prepared.tasks]
    norms: dict[str, list[float]] = {name: [] for name in names}
    sums: dict[str, torch.Tensor] = {}
    for number in range(steps):
        step = loader.step(number)
        for name in names:
            found = gradient(prepared, step, name)
            if found is not None:
                norms[name].append(float(found.norm()))
                sums[name] = sums.get(name, torch.zeros_like(found)) + found
    return {
        name: (sum(norms[name]) / len(norms[name]), float(sums[name].norm()) / len(norms[name]))
        for name in names
        if norms[name]
    }


def main(given: Sequence[str] | None = None) -> int:
    """Read the settings, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(given)
    cfg = compose_checked(options.settings, [ROOT / "conf"]).config
    torch.set_num_threads(cfg.trainer.threads or torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(cfg, Path(folder))
    if cfg.init is not None:
        start_from(prepared.model, Path(cfg.init))
    prepared.model.eval()
    print(f"{'task':16}{'mean norm':>12}{'norm of mean':>14}")
    for name, (size, signal) in measure(prepared, options.steps).items():
        print(f"{name:16}{size:12.4f}{signal:14.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
