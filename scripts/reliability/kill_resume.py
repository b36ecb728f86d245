"""Kill runs with SIGKILL at random moments, resume them, compare them with one never stopped.

python scripts/reliability/kill_resume.py [--moments 20] [--settings lora frozen] [--seed 1]
    [--json outputs/kill_resume.json] [--docs docs/reliability.md]

Every run is a process of its own that the same command line begins and, killed, goes on with
(`resume=auto`). The moments are drawn over five kinds, see `KINDS`; inside a kind, any call and any
point of its duration are as likely. "Equal" means bit for bit: weights of the model folder, of the
last checkpoint and of its optimiser, the kept checkpoints, `metrics.json`, and every value of
every logged step but for its speed. The exit code is 1 if any run differs.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

import argparse
import json
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch

import mtl.training.run
from mtl.data.plan import Planner
from mtl.reporting.loggers.csv_file import read_rows
from mtl.training.checkpoint import PART
from mtl.training.module import MultiTaskModule
from train import main as run_command_line

TINY = ROOT / "mtl" / "trunk" / "bundled" / "tiny"
START, END = "<!-- kill_resume -->", "<!-- /kill_resume -->"

KINDS: dict[str, tuple[Any, str] | None] = {
    "in a step": (MultiTaskModule, "training_step"),
    "in a validation": (MultiTaskModule, "validation_step"),
    "writing a checkpoint": (torch, "save"),
    "between epochs": (Planner, "epoch"),
    "any time": None,
}
SHARES = {
    "in a step": 6,
    "in a validation": 4,
    "writing a checkpoint": 5,
    "between epochs": 2,
    "any time": 3,
}
"""Of 20 moments."""
COMMON = (
    *("tasks.ner.data.max_examples=40", "tasks.sentiment.data.max_examples=40"),
    *("trainer.accelerator=cpu", "trainer.threads=1", "trainer.progress=false"),
    *("trainer.max_epochs=2", "trainer.val_check_interval=5", "trainer.log_every_n_steps=4"),
    *("trainer.limit_val_examples=16", "callbacks.checkpoint.every_n_train_steps=3"),
    *("batching.examples=8", "batching.tokens=256", "logger=csv", "trunk.lr=1e-3"),
)
"""Two epochs; nearly every step is split into passes."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "proportional": (),
    "uniform": ("mixing=uniform", "tasks.ner.data.max_train_examples=20"),
    "temperature": ("mixing=temperature", "tasks.ner.data.max_train_examples=20"),
    "one pass a step": ("batching.tokens=8192",),
    "frozen": ("tuning=frozen",),
    "last": ("tuning=last", "tuning.layers=1"),
    "lora": ("tuning=lora", "tuning.dropout=0.1"),
    "early stopping": ("callbacks=early_stopping", "callbacks.early_stopping.patience=2"),
    "four tasks": (
        "task=ner,sentiment,qa,summarization",
        *("tasks.qa.data.max_examples=20", "tasks.summarization.data.max_examples=20"),
        *("tasks.summarization.options.max_new_tokens=4", "trainer.limit_val_examples=4"),
    ),
}


@dataclass
class Moment:
    """When a run is killed."""

    kind: str
    call: int
    """Of the kind's function, from 1; 0 where there is none."""
    delay: float
    """Seconds after that call begins, or after the run does."""


@dataclass
class Outcome:
    """What became of a run that was killed."""

    setting: str
    moment: Moment
    half_written: bool
    """Whether a file was being written."""
    began_again: bool
    """Whether there was no checkpoint yet, so that it was begun anew."""
    differs: list[str]


@dataclass
class Course:
    """A run that nothing stops: how often each kind happens, and how long it takes."""

    calls: dict[str, int]
    seconds: dict[str, float]
    whole: float


def main(argv: Sequence[str] | None = None) -> int:
    """Do everything; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moments", type=int, default=20, help="kills for each setting")
    parser.add_argument("--settings", nargs="+", choices=[*SETTINGS], default=[*SETTINGS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=ROOT / "outputs" / "kill_resume.json")
    parser.add_argument("--docs", type=Path, help="a page whose table is to be replaced")
    options = parser.parse_args(argv)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
        work = Path(folder)
        trunk = work / "trunk"
        assert fork(lambda: build_trunk(trunk), work / "trunk.log")[1] == 0
        for name in options.settings:
            outcomes += try_setting(name, options.moments, options.seed, trunk, work / name)
            shutil.rmtree(work / name)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    table = markdown(outcomes)
    print(table)
    if options.docs:
        replace_table(options.docs, table)
    return int(any(o.differs for o in outcomes))


def build_trunk(folder: Path) -> int:
    """Write a small Llama with random weights, dropout and the bundled tokenizer."""
    from transformers import AutoModel, AutoTokenizer, LlamaConfig

    tokenizer = AutoTokenizer.from_pretrained(TINY)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        attention_dropout=0.1,
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return 0


def try_setting(name: str, moments: int, seed: int, trunk: Path, work: Path) -> list[Outcome]:
    """Run a setting once without a stop, then kill and resume it as often as asked."""
    work.mkdir()
    begin = time.monotonic()
    course = undisturbed(name, trunk, work)
    print(f"{name}: one run takes {course.whole:.1f} s; calls {course.calls}", flush=True)
    outcomes = []
    for number, moment in enumerate(draw(course, moments, random.Random(f"{seed} {name}"))):
        run = work / f"run-{number}"
        outcomes.append(kill_and_resume(name, moment, trunk, run, work / "whole"))
        if not outcomes[-1].differs:
            shutil.rmtree(run)
    odd = sum(bool(o.differs) for o in outcomes)
    took = time.monotonic() - begin
    print(f"{name}: {len(outcomes)} kills, {odd} differ, {took:.0f} s", flush=True)
    return outcomes


def command_line(name: str, trunk: Path, run: Path) -> list[str]:
    """Return the command line that begins a run, and goes on with it."""
    chosen = SETTINGS[name]
    task = () if any(text.startswith("task=") for text in chosen) else ("task=ner,sentiment",)
    places = ("trunk=hf", f"trunk.path={trunk}", f"hydra.run.dir={run}", "resume=auto")
    return [*task, *places, *COMMON, *chosen]


def undisturbed(name: str, trunk: Path, work: Path) -> Course:
    """Run to the end, and count."""
    report = work / "course.json"

    def child() -> int:
        calls: Counter[str] = Counter()
        seconds: Counter[str] = Counter()
        for kind in KINDS:
            watch(kind, before=lambda: None, after=add_to(kind, calls, seconds))
        begin = time.perf_counter()
        code = run_command_line(command_line(name, trunk, work / "whole"))
        whole = time.perf_counter() - begin
        mean = {kind: seconds[kind] / calls[kind] for kind in calls}
        report.write_text(json.dumps({"calls": calls, "seconds": mean, "whole": whole}))
        return code

    _, code = fork(child, work / "whole.log")
    if code != 0:
        raise SystemExit((work / "whole.log").read_text())
    return Course(**json.loads(report.read_text()))


def add_to(kind: str, calls: Counter[str], seconds: Counter[str]) -> Callable[[float], None]:
    """Return what counts a call and its duration."""

    def add(took: float) -> None:
        calls[kind] += 1
        seconds[kind] += took  # type: ignore[assignment]

    return add


def watch(kind: str, before: Callable[[], None], after: Callable[[float], None]) -> None:
    """Wrap the function of a kind in this process."""
    place = KINDS[kind]
    if place is None:
        return
    owner, name = place
    original = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        before()
        begin = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            after(time.perf_counter() - begin)

    setattr(owner, name, watched)


def draw(course: Course, count: int, chance: random.Random) -> list[Moment]:
    """Return random moments: of 20, as many of each kind as `SHARES` says."""
    weighted = [kind for kind, share in SHARES.items() for _ in range(share)]
    found = []
    for number in range(count):
        kind = weighted[number * len(weighted) // count % len(weighted)]
        if KINDS[kind] is None:
            found.append(Moment(kind, 0, chance.random() * course.whole))
        else:
            first = 2 if kind == "between epochs" else 1  # The first epoch follows none.
            call = chance.randint(first, max(first, course.calls[kind]))
            found.append(Moment(kind, call, chance.random() * course.seconds[kind]))
    return found


def kill_and_resume(name: str, moment: Moment, trunk: Path, run: Path, whole: Path) -> Outcome:
    """Kill a run at a moment, go on with it, and compare."""
    line = command_line(name, trunk, run)
    log = run.with_suffix(".log")
    reading, writing = os.pipe()

    def child() -> int:
        calls = 0

        def before() -> None:
            nonlocal calls
            calls += 1
            if calls == moment.call:
                os.write(writing, b"!")

        watch(moment.kind, before, after=lambda took: None)
        if KINDS[moment.kind] is None:
            os.write(writing, b"!")
        return run_command_line(line)

    process, _ = fork(child, log, wait=False)
    os.close(writing)
    select.select([reading], [], [])
    os.read(reading, 1)  # Nothing, if the run has ended before.
    time.sleep(moment.delay)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(reading)
    half = any(run.rglob(f"*{PART}"))
    fresh = not (run / "checkpoints" / "last.ckpt").exists()
    _, code = fork(lambda: run_command_line(line), log)
    differs = compare(run, whole) if code == 0 else [f"exit code {code}: {log.read_text()[-500:]}"]
    return Outcome(name, moment, half, fresh, differs)


def fork(do: Callable[[], int], log: Path, *, wait: bool = True) -> tuple[int, int]:
    """Do something in a process of its own, whose output goes to a file; return its exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            code = do()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if wait else -1


def compare(run: Path, other: Path) -> list[str]:
    """Return in what two runs differ."""
    odd = []
    for pattern in ("model/*.safetensors", "metrics.json"):
        files = {p.name for folder in (run, other) for p in folder.glob(pattern)}
        base = Path(pattern).parent
        odd += [str(base / n) for n in files if _bytes(run / base / n) != _bytes(other / base / n)]
    names = [sorted(p.name for p in (f / "checkpoints").iterdir()) for f in (run, other)]
    if names[0] != names[1]:
        odd.append(f"checkpoints: {names[0]} instead of {names[1]}")
    one, two = (
        torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (run, other)
    )
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")
    odd += [f"last.ckpt: {part}" for part in parts if not same(one[part], two[part])]
    if logged(run) != logged(other):
        odd.append("metrics.csv")
    return odd


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def same(one: Any, two: Any) -> bool:
    """Whether two trees of plain values and tensors are equal, bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def logged(run: Path) -> list[dict[str, str]]:
    """Return every value of every logged step, but for how fast it went."""
    rows = read_rows(run / "metrics.csv")
    return [{k: v for k, v in row.items() if not k.endswith("_per_second")} for row in rows]


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table: of how many kills each setting ended equal, by kind of moment."""
    kinds = list(KINDS)
    lines = [f"| setting | {' | '.join(kinds)} | lost |", f"|---|{'---|' * (len(kinds) + 1)}"]
    for setting in dict.fromkeys(o.setting for o in outcomes):
        own = [o for o in outcomes if o.setting == setting]
        cells = []
        for kind in kinds:
            tried = [o for o in own if o.moment.kind == kind]
            cells.append(f"{sum(not o.differs for o in tried)} of {len(tried)}")
        lost = sum(bool(o.differs) for o in own)
        lines.append(f"| {setting} | {' | '.join(cells)} | {lost or 'nothing'} |")
    halves = sum(o.half_written for o in outcomes)
    fresh = sum(o.began_again for o in outcomes)
    lines += [
        "",
        f"{len(outcomes)} kills; {halves} fell while a file was being written, {fresh} before",
        "the first checkpoint, where the same command line begins the run anew.",
    ]
    return "\n".join(lines)


def replace_table(page: Path, table: str) -> None:
    """Put the table between its two marks on a page."""
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(START)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no place for the table: {START} … {END}")
    page.write_text(f"{head}{START}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    assert mtl.training.run.__file__.startswith(str(ROOT))
    sys.exit(main())
