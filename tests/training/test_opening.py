from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtl.config.schema import MixingConfig
from mtl.training.opening import (
    WIDTH,
    Opening,
    balancing_of,
    leaks_of,
    mixture_of,
    opening_lines,
    shared_of,
)
from mtl.training.setup import prepare
from tests.data.tables import planner, table
from tests.training.site import Site, change

FACTS = Opening(
    tasks={"ner": [360, 90, 90], "qa": [1200, 40, 0], "sentiment": [360, 90, 90]},
    trunk="tiny",
    architecture="llama",
    parameters=4_012_345,
    tuning="full",
    device="cpu",
    processes=1,
    threads=2,
    precision="32-true",
    steps=18,
    steps_per_epoch=12,
    examples=32,
    tokens=4096,
    folder=Path("outputs") / "a run",
)


def test_what_a_run_is() -> None:
    assert opening_lines(FACTS) == [
        "tasks    ner, sentiment: 360 train + 90 validation + 90 test; qa: 1,200 train +",
        "         40 validation",
        "trunk    tiny (llama), 4,012,345 parameters, tuning full",
        "device   cpu, 2 threads, 32-true",
        "steps    18 of 32 examples (1.5 epochs), passes of up to 4,096 tokens",
        "stopped? python train.py resume='outputs/a run'",
    ]


def test_processes_and_devices() -> None:
    two = replace(FACTS, processes=2, threads=1)
    assert "device   2 processes, each cpu, 1 thread, 32-true" in opening_lines(two)
    gpu = replace(FACTS, device="NVIDIA H100", threads=None, precision="bf16-mixed")
    assert "device   NVIDIA H100, bf16-mixed" in opening_lines(gpu)


@pytest.mark.parametrize(("precision", "hints"), [("32-true", 1), ("bf16-mixed", 0)])
def test_the_hint_is_for_cpus_that_could(precision: str, hints: int) -> None:
    able = opening_lines(replace(FACTS, bf16_units=True, precision=precision))
    assert sum("bf16-mixed can" in line for line in able) == hints
    assert not any("hint" in line for line in opening_lines(replace(FACTS, precision=precision)))


def test_long_names_fit() -> None:
    tasks = {f"a_task_with_a_long_name_{n}": [10**n, 5, 5] for n in range(6)}
    lines = opening_lines(replace(FACTS, tasks=tasks, trunk="/models/" + "deep/" * 30 + "end"))
    assert len(lines) == 6
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[1].endswith(" ...")
    assert "/end (llama), 4,012,345 parameters, tuning full" in lines[2]


def test_how_losses_become_one_update(site: Site) -> None:
    cfg = site.config("ner", "sentiment", "rating", balancing__name="equal_norms")
    assert balancing_of(cfg) == "equal_norms"
    change(cfg, "tasks.ner.weight", 2.5)
    assert balancing_of(cfg) == "equal_norms, with weights: ner 2.5"
    assert "balance  sum" in opening_lines(replace(FACTS, balancing="sum"))
    assert balancing_of(site.config("ner")) == ""


def test_how_often_examples_are_seen() -> None:
    tables = [table("ner", 400), table("qa", 100)]
    section = MixingConfig()
    rounds = planner(tables, epochs=3, examples=10).rounds
    assert mixture_of(section, rounds) == "proportional: every example 3 times"
    rounds = planner(tables, epochs=3, steps=25, examples=10, every=5).rounds
    assert mixture_of(section, rounds) == (
        "proportional: every example 0.5 times (validations will change it)"
    )
    section = MixingConfig(name="uniform", order="round_robin")
    rounds = planner(tables, "uniform", "round_robin", epochs=3, examples=10).rounds
    assert mixture_of(section, rounds) == ("uniform, round_robin: ner 1.88 times, qa 7.5 times")


def test_what_tasks_share(site: Site, tmp_path: Path) -> None:
    stores = prepare(site.config("ner", "sentiment", "rating"), tmp_path).data.train
    count, tokens = len(stores[0]), stores[0].lengths.sum()
    share = 100 * tokens / (tokens + stores[1].lengths.sum())
    first, second = shared_of(stores).split(". ")
    assert first == (
        f"sentiment shares {count} of {count} documents with ner; one pass for both saves "
        f"{share:.1f}% of the two tasks' tokens"
    )
    assert second.startswith(f"rating shares {count} of {count} documents with ner")
    lines = opening_lines(replace(FACTS, shared=first))
    assert "shared   sentiment shares" in "\n".join(lines)


def test_what_another_task_trains_on_is_said(site: Site, tmp_path: Path) -> None:
    """Texts that both tasks train and test on, as their files have them."""
    cfg = site.config("ner", "sentiment")
    for task in cfg.tasks.values():
        task.data.train = [str(site.data / f"{split}.jsonl") for split in ("train", "test")]
    data = prepare(cfg, tmp_path).data
    said = leaks_of(data.train, {"validation": data.validation, "test": data.test})
    assert said == (
        "9 of 9 test documents of ner are in train of sentiment; "
        "9 of 9 test documents of sentiment are in train of ner: these scores may be too good"
    )
    assert leaks_of(data.train[1:], {"test": data.test[1:]}) == ""
    lines = opening_lines(replace(FACTS, leaks=said))
    assert any(line.startswith("leaks    9 of 9 test documents") for line in lines)
