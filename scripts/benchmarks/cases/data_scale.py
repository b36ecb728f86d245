"""Reading, encoding and planning many short examples: time, memory, bytes a planned example.

Each size runs in a process of its own, on texts made up here, with the bundled tokenizer::

    python scripts/benchmarks/cases/data_scale.py 100000 300000 1000000 --json data_scale.json

``anonymous`` is resident memory that belongs to the process alone; ``mapped`` are pages of Arrow
files, which the system takes back whenever it needs them. Under ``run.py`` the sides are two sizes,
and what is compared is CPU time, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from scripts.benchmarks.runner import Case, Prepared, Ratio, Settings  # noqa: E402

STAGES = ("read", "encode", "again", "plan")
WORDS = 20_000
SECTION = "scale"


def main() -> None:
    """Print a table over the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.sizes[0])))
        return
    found = [in_process(size) for size in asked.sizes]
    show(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def in_process(size: int) -> dict[str, Any]:
    """Measure one size in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(size: int) -> dict[str, Any]:
    """Read, encode, find again and plan; seconds of the process, MB, bytes an example."""
    from mtl.config.schema import Config, DataConfig, TaskConfig
    from mtl.data.cache import ExampleCache
    from mtl.data.mixing import MIXERS
    from mtl.data.plan import Planner
    from mtl.data.sources import Wanted, load_splits
    from mtl.tasks.base import take
    from mtl.tasks.encode import encode_split
    from mtl.training.allocator import give_back, keep_freed_memory
    from mtl.training.model import build_task
    from mtl.training.setup import build_encoder, build_trunk

    keep_freed_memory()
    cfg = Config(tasks={SECTION: TaskConfig(type="text_classification")})
    task = build_task(SECTION, cfg.tasks[SECTION])
    encoder = build_encoder(cfg, build_trunk(cfg))
    found: dict[str, Any] = {"examples": size, "start": memory()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        write_texts(file, size)
        clock = Clock(found)
        data = DataConfig(train=str(file), validation=str(file))
        columns = {"text": "text", "label": "label"}
        wanted = {SECTION: Wanted(data, columns, task.roles(task.options))}
        splits = load_splits(wanted, 1, only=["train"])[SECTION]
        assert splits.train is not None
        take(task, task.learn(splits.train))
        clock.stop("read")
        cache = ExampleCache(Path(folder) / "cache")
        encode_split(task, splits.train, encoder, "causal", None, cache)
        encoder.forget()
        clock.stop("encode")
        store = encode_split(task, splits.train, encoder, "causal", None, cache)
        clock.stop("again")
        tracemalloc.start()
        planner = Planner(
            {store.task: store.keys},
            MIXERS.get("proportional")(cfg.mixing),
            examples=32,
            max_branches=16,
            seed=1,
        )
        clock.start()
        plan = planner.epoch(0)
        clock.stop("plan")
        kept, peak = tracemalloc.get_traced_memory()
        tables = (store.lengths, store.reads, store.keys, store.masses)
        fixed = sum(array.nbytes for array in tables)
        assert len(plan) == planner.steps_per_epoch
        found["plan_bytes"] = (kept + fixed) / size
        found["plan_peak_bytes"] = (peak + fixed) / size
        give_back()
        found["end"] = memory()
        found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


class Clock:
    """CPU seconds and memory of one stage after the other."""

    def __init__(self, into: dict[str, Any]) -> None:
        self.into = into
        self.start()

    def start(self) -> None:
        """Begin a stage."""
        self.began, self.wall = time.process_time(), time.perf_counter()

    def stop(self, stage: str) -> None:
        """End a stage and begin the next."""
        cpu, wall = time.process_time() - self.began, time.perf_counter() - self.wall
        self.into[stage] = {"cpu": cpu, "wall": wall, **memory()}
        self.start()


def memory() -> dict[str, float]:
    """Return the process's resident memory in MB: its own, and mapped files."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    own, mapped = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return {"anonymous": own, "mapped": mapped}


def write_texts(path: Path, size: int) -> None:
    """Write texts of 4 to 20 made-up words, no two alike, with one of two labels."""
    draw = random.Random(size)
    letters = "etaoinshrdlucmfwypvbg"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(WORDS)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(size):
            text = f"{number} {' '.join(draw.choices(words, k=draw.randint(4, 20)))}"
            file.write(json.dumps({"text": text, "label": draw.choice("ab")}) + "\n")


def show(found: list[dict[str, Any]]) -> None:
    """Print the figures, a line a size."""
    heads = [*(f"{s}, s (us each)" for s in STAGES), "own MB after: start", *STAGES, "peak MB"]
    print(" | ".join(["examples", *heads, "plan B", "peak plan B"]))
    for each in found:
        size = each["examples"]
        seconds = [each[s]["cpu"] for s in STAGES]
        cells = [f"{size:,}", *(f"{s:.1f} ({s / size * 1e6:.1f})" for s in seconds)]
        cells += [f"{each[s]['anonymous']:.0f}" for s in ("start", *STAGES)]
        cells += [f"{each[k]:.0f}" for k in ("peak", "plan_bytes", "plan_peak_bytes")]
        print(" | ".join(cells))


def prepare(settings: Settings) -> Prepared:
    """Two sizes, one ten times the other; memory and the plan are of the last round."""
    small = settings.pick(100_000, 2_000)
    large = 10 * small
    last: dict[int, dict[str, Any]] = {}
    notes: dict[str, Any] = {}

    def of(size: int) -> float:
        last[size] = found = in_process(size)
        stages = {s: round(found[s]["cpu"] / size * 1e6, 1) for s in STAGES}
        own = {s: round(found[s]["anonymous"]) for s in STAGES}
        notes[f"{size:,} examples"] = (
            f"CPU us each {stages}; own MB {round(found['start']['anonymous'])} at the start, "
            f"after each stage {own}; peak MB {found['peak']:.0f}"
        )
        return sum(float(found[s]["cpu"]) for s in STAGES) / size * 1e6

    return Prepared(
        unit="CPU us an example; bytes an example; MB",
        sides={
            f"{small:,} examples": lambda: of(small),
            f"{large:,} examples": lambda: of(large),
            "bytes of the plan": lambda: float(last[large]["plan_bytes"]),
            "own memory": lambda: float(last[large]["end"]["anonymous"]),
            "own memory, a tenth": lambda: float(last[small]["end"]["anonymous"]),
            "one byte": lambda: 1.0,
        },
        ratios=[
            Ratio(
                "time an example, ten times as many",
                f"{large:,} examples",
                f"{small:,} examples",
                1.1,
                at_least=False,
            ),
            Ratio(
                "bytes of the plan an example", "bytes of the plan", "one byte", 100, at_least=False
            ),
            Ratio("memory, ten times as many", "own memory", "own memory, a tenth"),
        ],
        warm_up=False,
        notes=notes,
    )


CASE = Case("data_scale", "reading, encoding and planning short examples", prepare)

if __name__ == "__main__":
    main()
