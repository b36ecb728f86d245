"""Two processes of one run: what only one of them meets, both act on, in the same step."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from mtl.errors import Interrupted, TrainingError
from mtl.launch.parent import handling
from mtl.training.checkpoint import AtomicCheckpointIO, RunCheckpoint, read_checkpoint
from mtl.training.sharding import InParts, make_whole
from mtl.training.stopping import StopOnSignal
from tests.ports import reserved_port
from tests.training.resuming import STEP
from tests.training.site import Site, module_of, prepared, weights
from tests.training.test_finite import spoil_steps
from tests.training.test_stopping import during

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

STEPS = 4
Found = dict[str, Any]


def in_two(folder: Path, do: Callable[[int], Found]) -> list[Found]:
    """Do something in two processes that form a group; return what each found."""
    children = []
    with reserved_port() as port:
        for rank in range(2):
            child = os.fork()
            if not child:
                _be(rank, str(port), folder / f"{rank}.json", do)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def _be(rank: int, port: str, report: Path, do: Callable[[int], Found]) -> None:
    """Be one of the processes; nothing of pytest may run on here."""
    signal.alarm(240)
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {**group, "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    code = 1
    try:
        report.write_text(json.dumps(do(rank)))
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def run_fit(site: Site, run: Path, strategy: str = "ddp", non_finite: str = "stop") -> Found:
    """Train some steps as one of two processes; return how it ended and what is left."""
    cfg = site.config("ner", "rating", trainer__max_steps=STEPS)
    ready = prepared(cfg, run)
    module = module_of(cfg, ready)
    module.training_log.every = 10
    module.non_finite.skips = non_finite == "skip"
    keeper = RunCheckpoint(run / "checkpoints", "val/score")
    stopper = StopOnSignal(keeper, run)
    trainer = L.Trainer(
        accelerator="cpu",
        strategy=InParts(2) if strategy == "fsdp" else strategy,
        devices=2,
        max_epochs=1,
        max_steps=STEPS,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[stopper, keeper],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    end = ""
    try:
        with handling(stopper.hear):
            trainer.fit(module, datamodule=ready.data)
    except (TrainingError, Interrupted) as error:
        end = f"{type(error).__name__}: {error}"
    make_whole(module.model)
    values = weights(module.model).values()
    return {
        "end": end,
        "step": trainer.global_step,
        "skipped": module.non_finite.skipped,
        "finite": all(bool(value.isfinite().all()) for value in values),
        "sum": float(torch.stack([value.double().sum() for value in values]).sum()),
    }


@pytest.mark.parametrize("non_finite", ["stop", "skip"])
def test_a_loss_that_is_not_finite_on_one_rank(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, non_finite: str
) -> None:
    """Its own gradient would be finite, so only what is made of it tells the other rank."""

    def do(rank: int) -> Found:
        if rank == 1:
            spoil_steps(monkeypatch, {2}, "ner", math.inf)
        return run_fit(site, tmp_path, non_finite=non_finite)

    one, two = in_two(tmp_path, do)
    assert one == two
    assert one["finite"]
    assert one["skipped"] == 1
    if non_finite == "stop":
        assert "Step 2: Expected finite losses, but that of task 'ner' is inf;" in one["end"]
        assert one["step"] == 2
    else:
        assert (one["end"], one["step"]) == ("", STEPS)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_gradient_that_is_not_finite_on_one_rank(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """Its loss is finite on both; both name the task whose head has it."""

    def do(rank: int) -> Found:
        if rank == 1:
            spoil_steps(monkeypatch, {2}, "ner", math.inf, loss=False)
        return run_fit(site, tmp_path, strategy)

    one, two = in_two(tmp_path, do)
    assert one == two
    assert one["finite"]
    assert "Step 2: Expected a finite gradient" in one["end"]
    assert "in the head of task 'ner';" in one["end"]


def test_a_signal_on_one_rank(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def do(rank: int) -> Found:
        if rank == 1:
            during(monkeypatch, *STEP, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        return run_fit(site, tmp_path)

    one, two = in_two(tmp_path, do)
    assert one == two
    assert (one["end"], one["step"]) == ("Interrupted: 143", 3)
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 3
    assert len(last["mtl"]["running"]["losses"]) == 2  # Each rank's own part.
