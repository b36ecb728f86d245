"""Kill runs with SIGKILL at random moments, resume them, and compare with runs never stopped.

``python scripts/reliability/kill_resume.py [--kills 20] [--only NAME ...] [--seed 0]``

For each configuration (every mixing in ``conf/mixing``, micro-batches, frozen trunk, LoRA, ...)
one run is left alone. Then, time and again, a run of the same configuration is killed (in a step,
in a validation, while a checkpoint is written, between two epochs, while the states of a frozen
trunk are computed, or at its end) and resumed. Compared are, bit for bit: all files of
``model/``, the weights of the last checkpoint, ``metrics.json``, and every value of every logged
step in ``metrics.csv``, but for speeds. The trunk is small and random, with dropout; a run takes
seconds on one CPU. Needs ``fork``.

Prints a table, and writes all kills to ``OUT/kill_resume.json``. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
if __name__ == "__main__":  # Children are forked: no thread pools.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch  # noqa: E402

import mtl.training.run as training  # noqa: E402
from mtl.config.compose import compose_checked  # noqa: E402
from mtl.config.schema import Config  # noqa: E402
from mtl.data.plan import Planner  # noqa: E402
from mtl.reporting.loggers.csv_file import read_rows  # noqa: E402
from mtl.reporting.tracking import track  # noqa: E402
from mtl.training.checkpoint import AtomicCheckpointIO, read_checkpoint  # noqa: E402
from mtl.training.module import MultiTaskModule  # noqa: E402
from mtl.training.run import train  # noqa: E402
from mtl.training.setup import prepare  # noqa: E402
from mtl.training.state_cache import StateCache  # noqa: E402
from mtl.trunk.load import BUNDLED  # noqa: E402

STEP, VALIDATION, WRITING, PLANNING, STATES, END, ELSEWHERE = PHASES = (
    "step",
    "validation",
    "checkpoint",
    "between epochs",
    "states",
    "end",
    "elsewhere",
)
"""What a run may be doing; ``states``: it computes those of a frozen trunk, which are kept on disk;
``end``: its test, and the writing of model and metrics."""
WATCHED: tuple[tuple[Any, str, str], ...] = (
    (MultiTaskModule, "training_step", STEP),
    (MultiTaskModule, "validation_step", VALIDATION),
    (MultiTaskModule, "on_validation_epoch_end", VALIDATION),
    (AtomicCheckpointIO, "save_checkpoint", WRITING),
    (Planner, "epoch", PLANNING),
    (StateCache, "on_fit_start", STATES),
    (MultiTaskModule, "test_step", END),
    (MultiTaskModule, "on_test_epoch_end", END),
    (training, "save_model", END),
    (training, "write_whole", END),
)
BASE = (
    "task=[ner,sentiment]",
    "trunk=hf",
    "trunk.dropout=0.2",
    "trunk.lr=1e-2",
    "head.lr=1e-2",
    "tasks.ner.data.max_examples=36",
    "tasks.sentiment.data.max_examples=24",
    "batching.examples=10",
    "batching.tokens=4096",
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=5",
    "callbacks.checkpoint.every_n_train_steps=2",
    "logger=csv",
)
MICRO = "batching.tokens=128"
STAGES = "{tasks:[ner],epochs:1},{tasks:[ner,sentiment]}"


def configurations(conf: Path) -> dict[str, list[str]]:
    """Return by name what each configuration changes; every mixing of `conf` is there."""
    found = {
        f"mixing={file.stem}": [f"mixing={file.stem}", MICRO]
        for file in sorted((conf / "mixing").glob("*.yaml"))
    }
    return {
        **found,
        "one pass a step": [],
        "tuning=frozen": ["tuning=frozen", "trunk.dropout=0", MICRO],
        "tuning=frozen with dropout": ["tuning=frozen", MICRO],
        "tuning=last": ["tuning=last", "tuning.layers=1", MICRO],
        "tuning=lora": ["tuning=lora", "trunk.lr=1e-2", "tuning.dropout=0.2", MICRO],
        "stages": [f"mixing.stages=[{STAGES}]", MICRO],
        "tasks that leave": ["mixing.patience=1", "mixing.min_delta=0.05", MICRO],
        "balancing=famo": ["balancing=famo", MICRO],
        "balancing=uncertainty": ["balancing=uncertainty", "balancing.conflict=true", MICRO],
        "balancing=gradvac": ["balancing=gradvac", MICRO],
        "early stopping": [
            "callbacks=early_stopping",
            "callbacks.early_stopping.patience=1",
            MICRO,
        ],
    }


@dataclass
class Kill:
    """One kill, and what became of the run."""

    configuration: str
    aimed: str
    """What the run was to be killed in."""
    phase: str = ELSEWHERE
    """What it was killed in."""
    step: int = 0
    """Optimiser steps that were done."""
    saved: int | None = None
    """Those that the last checkpoint had; None if there was none, and the run began anew."""
    half_written: list[str] = field(default_factory=list)
    """Files that the kill left half written."""
    differences: list[str] = field(default_factory=list)
    """What the resumed run ended with that the run never stopped did not."""


class Board:
    """Memory that a run shares with who watches it: the phase, steps, and how long phases take."""

    SIZE = 16 + 16 * len(PHASES)

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, self.SIZE)
        self.phase = PHASES.index(ELSEWHERE)

    @property
    def phase(self) -> int:
        """The number of the phase."""
        return int(struct.unpack_from("q", self.memory, 0)[0])

    @phase.setter
    def phase(self, number: int) -> None:
        struct.pack_into("q", self.memory, 0, number)

    @property
    def steps(self) -> int:
        """Optimiser steps that are done."""
        return int(struct.unpack_from("q", self.memory, 8)[0])

    @steps.setter
    def steps(self, count: int) -> None:
        struct.pack_into("q", self.memory, 8, count)

    def spent(self, phase: str) -> tuple[int, float]:
        """Return how often a phase was entered, and the seconds spent in it."""
        count, seconds = struct.unpack_from("qd", self.memory, 16 + 16 * PHASES.index(phase))
        return int(count), float(seconds)

    def count(self, phase: str, seconds: float) -> None:
        """Add one time in a phase."""
        before, total = self.spent(phase)
        place = 16 + 16 * PHASES.index(phase)
        struct.pack_into("qd", self.memory, place, before + 1, total + seconds)


def watch(board: Board, reached: Callable[[str, int], object]) -> None:
    """Let the board know what this process does.

    Args:
        board: Shared with the parent.
        reached: Called at the beginning of each phase with how often it has begun.
    """
    for owner, name, phase in WATCHED:
        setattr(owner, name, _watched(board, getattr(owner, name), phase, reached))


def _watched(
    board: Board, call: Callable[..., Any], phase: str, reached: Callable[[str, int], object]
) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        before, began = board.phase, time.perf_counter()
        board.phase = PHASES.index(phase)
        reached(phase, board.spent(phase)[0] + 1)
        result = call(*args, **kwargs)
        board.phase = before
        board.count(phase, time.perf_counter() - began)
        if phase == STEP:
            board.steps = args[1].number + 1
        return result

    return watched


def start(cfg: Config, run: Path, board: Board, aim: tuple[str, int] | None) -> tuple[int, int]:
    """Train in a forked process.

    Args:
        cfg: The configuration.
        run: The run's folder; what is said goes into ``log.txt`` beside it.
        board: Is told what the process does.
        aim: A phase, and the how manieth of it; the process tells when it begins.

    Returns:
        The process, and a pipe that has a byte when the aim is reached, and ends with the process.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    code = 1
    try:
        os.close(reader)
        log = os.open(run.with_name(f"{run.name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        watch(board, lambda *now: now == aim and os.write(writer, b"!"))
        train(cfg, run)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(child: int, pipe: int) -> int:
    """Wait for a process; return its exit code, negative for a signal."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(pipe)
    return code


def run_through(cfg: Config, run: Path, board: Board) -> None:
    """Train to the end.

    Raises:
        RuntimeError: If the run fails.
    """
    if code := finish(*start(cfg, run, board, None)):
        said = run.with_name(f"{run.name}.log").read_text(encoding="utf-8")
        raise RuntimeError(f"{run}: exit code {code}\n{said}")


def killed(cfg: Config, run: Path, kill: Kill, whole: Board, chance: random.Random) -> bool:
    """Kill a run at a random moment of a random occurrence of a phase.

    Returns:
        False if it ended before it could be killed.
    """
    board = Board()
    count, seconds = whole.spent(kill.aimed)
    child, pipe = start(cfg, run, board, (kill.aimed, chance.randint(1, count)))
    if os.read(pipe, 1):
        time.sleep(chance.random() * seconds / count)
        os.kill(child, signal.SIGKILL)
    ended = finish(child, pipe) != -signal.SIGKILL
    kill.phase, kill.step = PHASES[board.phase], board.steps
    return not ended


def inspect(kill: Kill, run: Path) -> None:
    """See what is there after a kill: every checkpoint has to load."""
    kill.half_written = sorted(p.name for p in run.rglob("*.part"))
    for path in sorted((run / "checkpoints").glob("*.ckpt")):
        try:
            found = read_checkpoint(path)
        except Exception as error:
            kill.differences.append(f"{path.name} after the kill: {error}")
            continue
        if path.name == "last.ckpt":
            kill.saved = found["global_step"]


def differences(run: Path, whole: Path) -> Iterator[str]:
    """Yield what differs between two finished runs."""
    for name in sorted({*_files(run / "model"), *_files(whole / "model")}):
        one, other = run / "model" / name, whole / "model" / name
        if not (one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()):
            yield f"model/{name}"
    ours, theirs = _weights(run), _weights(whole)
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs or not torch.equal(ours[name], theirs[name]):
            yield f"last.ckpt: {name}"
    if (run / "metrics.json").read_bytes() != (whole / "metrics.json").read_bytes():
        yield "metrics.json"
    if _logged(run) != _logged(whole):
        yield "metrics.csv"
    if (found := _files(run / "checkpoints")) != _files(whole / "checkpoints"):
        yield f"checkpoints: {', '.join(sorted(found))}"


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _weights(run: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = read_checkpoint(run / "checkpoints" / "last.ckpt")[
        "state_dict"
    ]
    return found


def _logged(run: Path) -> list[dict[str, str]]:
    """Every value of every logged step, but for how fast it went."""
    rows = read_rows(run / "metrics.csv")
    return [
        {k: v for k, v in row.items() if v and not k.endswith(("_per_second", "memory_gb"))}
        for row in rows
    ]


def try_out(
    name: str, cfg: Config, out: Path, kills: int, seed: int, advance: Callable[[int], None]
) -> list[Kill]:
    """Kill and resume runs of one configuration.

    Args:
        name: Of the configuration.
        cfg: The configuration.
        out: Where the runs go; those that end as they should are removed.
        kills: How many.
        seed: Of the moments.
        advance: Called after each.
    """
    whole, board = out / "whole", Board()
    run_through(cfg, whole, board)
    chance = random.Random(f"{seed} {name}")
    found: list[Kill] = []
    aims = [phase for phase in PHASES if board.spent(phase)[0]]
    while len(found) < kills:
        kill = Kill(name, aims[len(found) % len(aims)])
        run = out / f"kill-{len(found)}"
        if not killed(cfg, run, kill, board, chance):
            shutil.rmtree(run, ignore_errors=True)
            continue
        inspect(kill, run)
        if kill.saved is None:
            shutil.rmtree(run, ignore_errors=True)
        goes_on = {} if kill.saved is None else {"resume": str(run)}
        run_through(cfg.model_copy(update=goes_on), run, Board())
        kill.differences += differences(run, whole)
        if not kill.differences:
            shutil.rmtree(run)
        found.append(kill)
        advance(1)
    return found


def make_trunk(folder: Path) -> None:
    """Write a small random decoder with the bundled decoder's tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(BUNDLED / "tiny", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2})
    config.update({"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8})
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing that is said reach the terminal."""
    keep = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(keep, 2)
        os.close(keep)
        os.close(nothing)


def table(kills: Sequence[Kill]) -> str:
    """Return the table over all kills, in Markdown."""
    rows: list[list[object]] = []
    for name in dict.fromkeys(k.configuration for k in kills):
        mine = [k for k in kills if k.configuration == name]
        where = Counter(k.phase for k in mine)
        again = [k.step - k.saved for k in mine if k.saved is not None]
        rows.append(
            [
                name,
                len(mine),
                *(where[phase] for phase in PHASES),
                sum(bool(k.half_written) for k in mine),
                sum(k.saved is None for k in mine),
                f"{max(again, default=0)}",
                sum(bool(k.differences) for k in mine),
            ]
        )
    heads: list[object] = [
        "configuration",
        "kills",
        *PHASES,
        "half-written",
        "anew",
        "repeated",
        "different",
    ]
    lines: list[list[object]] = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(given: Sequence[str] | None = None) -> int:
    """Kill, resume, compare; returns the exit code."""
    names = list(configurations(ROOT / "conf"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="of each configuration")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "kill_resume")
    options = parser.parse_args(given)
    out = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.set_num_threads(1)
    with quiet():
        make_trunk(out / "trunk")
    kills: list[Kill] = []
    with track("Killing", options.kills * len(options.only)) as advance:
        for name in options.only:
            changes = configurations(ROOT / "conf")[name]
            typed = [*BASE, f"trunk.path='{out / 'trunk'}'", *changes]
            cfg = compose_checked(typed, [ROOT / "conf"]).config
            with quiet():
                prepare(cfg, out)  # What is imported now, each child has already.
            folder = out / name.replace("=", "-").replace(" ", "-")
            folder.mkdir()
            kills += try_out(name, cfg, folder, options.kills, options.seed, advance)
            text = json.dumps([asdict(kill) for kill in kills], indent=2)
            (out / "kill_resume.json").write_text(text + "\n", encoding="utf-8")
    print(table(kills))
    wrong = [kill for kill in kills if kill.differences]
    for kill in wrong:
        print(f"{kill.configuration}, killed in {kill.phase}: {'; '.join(kill.differences)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
