"""What a quantized trunk costs in quality and brings in speed, on the run's own test split."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtl.data.rows import Rows
from mtl.errors import ConfigError, Problem
from mtl.export.base import Source
from mtl.export.onnx_files import Session
from mtl.inference.evaluator import score, splits_of
from mtl.inference.predictor import RowPredictor
from mtl.training.model_io import load_model
from mtl.types import TrunkBatch

SPLIT = "test"


@dataclass
class Measured:
    """A trunk on the test rows."""

    name: str
    scores: dict[str, float]
    """By task its primary metric."""
    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        """Real tokens a second of the trunk's passes."""
        return self.tokens / max(self.seconds, 1e-9)


def test_rows(source: Source, names: Sequence[str]) -> Mapping[str, Rows]:
    """Return the test rows of tasks whose answers are of one pass.

    Raises:
        ConfigError: If there are none.
    """
    if source.config is None:
        raise _needs(f"'{source.run}' is a model without its run")
    predictor = RowPredictor(source.loaded, "cpu")
    splits = splits_of(source.config, predictor, SPLIT, source.run)
    found = {name: splits[name].test for name in names if not predictor.tasks[name].traits.writes}
    rows = {name: part for name, part in found.items() if part}
    if not rows:
        raise _needs("its tasks have no test rows")
    return rows


def _needs(found: str) -> ConfigError:
    expected = "to stand beside a run with a test split, on which its quality is measured"
    return ConfigError(Problem("--int8", expected, found, "Leave `--int8` out."))


def measure(source: Source, exact: Path, quantized: Path, names: Sequence[str]) -> str:
    """Return a section of the card: scores and speed of the trunk in PyTorch and in both files.

    Args:
        source: The run.
        exact: The trunk's file.
        quantized: The file with weights of 8 bits.
        names: The tasks.
    """
    rows = test_rows(source, names)
    runs = [("PyTorch, float32", None), ("ONNX, float32", exact), ("ONNX, int8", quantized)]
    found = [_measured(source, rows, label, file) for label, file in runs]
    heads = " | ".join(f"`{n}` {source.description.tasks[n].metric}" for n in rows)
    lines = [f"| trunk | {heads} | tokens a second | MB |", "|---" * (len(rows) + 3) + "|"]
    for one, (_, file) in zip(found, runs, strict=True):
        scores = " | ".join(f"{one.scores[n]:.4f}" for n in rows)
        size = "" if file is None else f"{os.path.getsize(file) / 1e6:.1f}"
        lines.append(f"| {one.name} | {scores} | {one.speed:,.0f} | {size} |")
    threads = torch.get_num_threads()
    count = ", ".join(f"{len(part):,} of `{name}`" for name, part in rows.items())
    lines.append(
        f"\nOn the test split ({count}), on a CPU with {threads} thread{'s' * (threads > 1)}, "
        "padding left out of the count. Heads are float32 in all three. Measure again where you "
        "use it: what int8 brings depends on the processor."
    )
    return "\n".join(lines)


def _measured(source: Source, rows: Mapping[str, Rows], label: str, file: Path | None) -> Measured:
    loaded = load_model(source.folder, trust_remote_code=source.trust_remote_code)
    predictor = RowPredictor(loaded, "cpu", pack=False)
    trunk = loaded.model.trunk
    found = Measured(label, {}, 0, 0.0)
    plain: Callable[..., Tensor] = trunk.forward
    session = None if file is None else Session(file)

    def run(batch: TrunkBatch, cache: object = None) -> Tensor:
        began = time.perf_counter()
        if session is None:
            states = plain(batch, cache)
        else:
            mask = (batch.unit >= 0).long()
            given = {"input_ids": batch.input_ids, "attention_mask": mask}
            given["token_type_ids"] = batch.segment
            answer = session(**{name: tensor.numpy() for name, tensor in given.items()})
            states = torch.from_numpy(answer).flatten(0, 1)
        found.seconds += time.perf_counter() - began
        found.tokens += int((batch.unit >= 0).sum())
        return states

    trunk.forward = run  # type: ignore[method-assign, assignment]
    reports = score(predictor, rows)
    found.scores = {name: report.value for name, report in reports.items()}
    return found
