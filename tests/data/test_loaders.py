"""Steps of a run and passes of an evaluation, over ranks and over interruptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import MixingConfig
from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import EvalLoader, TrainLoader
from mtl.data.mixing import MIXERS
from mtl.data.plan import Planner
from mtl.data.store import ExampleStore
from mtl.types import MicroBatch, Step
from tests.data.examples import example, store
from tests.data.test_collate import check_reads, some_stores
from tests.properties import max_examples


def train_stores(seed: int = 0) -> list[ExampleStore]:
    rng = np.random.default_rng(seed)
    shapes = {"ner": 40, "topic": 23, "qa": 9}
    return [
        store(n, [example(rng, [int(rng.integers(2, 12))]) for _ in range(count)])
        for n, count in shapes.items()
    ]


def loader(
    stores: list[ExampleStore], *, steps: int = 12, rank: int = 0, world: int = 1, seed: int = 3
) -> TrainLoader:
    tables = {s.task: s.keys for s in stores}
    mixer = MIXERS.get("proportional")(MixingConfig())
    planner = Planner(tables, mixer, examples=10, max_branches=4, seed=seed)
    collator = Collator(stores, budget=50, sharing=Sharing(rows=True, branches=True, pad=0))
    return TrainLoader(planner, collator, steps=steps, rank=rank, world=world)


def examples_of(batches: Iterable[MicroBatch]) -> Counter[tuple[str, int]]:
    return Counter((n, i) for b in batches for n, h in b.heads.items() for i in h.examples)


def same(first: Step, other: Step) -> bool:
    return (
        first.number == other.number
        and first.denominators == other.denominators
        and len(first.micro_batches) == len(other.micro_batches)
        and all(
            torch.equal(a.trunk.input_ids, b.trunk.input_ids)
            and torch.equal(a.trunk.position_ids, b.trunk.position_ids)
            and a.heads.keys() == b.heads.keys()
            and all(torch.equal(a.heads[n].positions, b.heads[n].positions) for n in a.heads)
            for a, b in zip(first.micro_batches, other.micro_batches, strict=True)
        )
    )


def test_an_epoch_has_every_example_once_and_steps_are_numbered() -> None:
    stores = train_stores()
    steps = list(loader(stores, steps=16))
    assert [s.number for s in steps] == list(range(16))
    for epoch in (steps[:8], steps[8:]):
        found = examples_of(b for s in epoch for b in s.micro_batches)
        assert found == Counter((s.task, i) for s in stores for i in range(len(s)))
        assert [s.examples for s in epoch] == [10] * 7 + [2]
    assert not same(steps[0], steps[8]), "the second epoch has an order of its own"


@pytest.mark.parametrize("stop", [1, 7, 8, 11])
def test_an_interrupted_run_continues_exactly(stop: int) -> None:
    stores = train_stores()
    whole = list(loader(stores))
    first = loader(stores)
    running = iter(first)
    for number in range(stop):
        assert same(next(running), whole[number])
    state = first.state_dict()
    second = loader(stores)
    second.load_state_dict(state)
    rest = list(second)
    assert len(rest) == len(whole) - stop
    assert all(same(a, b) for a, b in zip(rest, whole[stop:], strict=True))


def test_a_state_is_plain_and_a_finished_loader_starts_anew() -> None:
    them = loader(train_stores(), steps=3)
    assert them.state_dict() == {"step": 0}
    assert len(them) == len(list(them)) == 3
    assert them.state_dict() == {"step": 0}
    assert [s.number for s in them] == [0, 1, 2]


def test_a_step_needs_nothing_but_its_number() -> None:
    stores = train_stores()
    late = loader(stores).step(11)
    them = loader(stores)
    assert same([*map(them.step, range(12))][11], late)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_union_over_ranks_does_not_depend_on_their_number(world: int) -> None:
    stores = train_stores()
    whole = loader(stores)
    ranks = [loader(stores, rank=r, world=world) for r in range(world)]
    for number in range(9):
        one, several = whole.step(number), [r.step(number) for r in ranks]
        found = sum((examples_of(s.micro_batches) for s in several), Counter())
        assert found == examples_of(one.micro_batches)
        assert all(s.denominators == one.denominators for s in several)
        assert all(s.examples == one.examples for s in several)
        tokens = [s.tokens for s in several]
        assert sum(tokens) == one.tokens
        assert max(tokens) - min(tokens) <= 12, "no rank is ahead by more than one document"


def test_denominators_are_the_masses_of_the_whole_step() -> None:
    stores = train_stores()
    for step in loader(stores):
        masses: dict[str, float] = {}
        for name, index in examples_of(step.micro_batches).elements():
            mass = next(s for s in stores if s.task == name).masses[index]
            masses[name] = masses.get(name, 0.0) + float(mass)
        assert step.denominators == pytest.approx(masses)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 150), st.booleans())
@max_examples(60)
def test_evaluation_has_every_example_once_over_all_ranks(
    seed: int, world: int, budget: int, share: bool
) -> None:
    stores = some_stores(seed)
    found: Counter[tuple[int, int]] = Counter()
    for rank in range(world):
        collator = Collator(
            stores, budget=budget, sharing=Sharing(rows=share, branches=share, pad=0)
        )
        them = EvalLoader(collator, stores, rank=rank, world=world)
        batches = list(them)
        assert len(batches) == len(them)
        for batch in batches:
            assert isinstance(batch, MicroBatch)
            found.update(check_reads(batch, stores))
    assert found == Counter((t, i) for t, s in enumerate(stores) for i in range(len(s)))


def test_evaluation_passes_hold_documents_of_like_length() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.gamma(2.0, 8.0, 1000).clip(2, 60).astype(int)
    stores = [store("ner", [example(rng, [int(n)]) for n in lengths])]
    collator = Collator(stores, budget=1024, sharing=Sharing(rows=True, branches=True, pad=0))
    batches = [b for b in EvalLoader(collator, stores) if isinstance(b, MicroBatch)]
    room = sum(b.trunk.input_ids.numel() for b in batches)
    assert all(b.trunk.input_ids.numel() <= 1024 for b in batches)
    assert lengths.sum() / room > 0.93
    widths = [b.trunk.input_ids.shape[1] for b in batches]
    assert widths == sorted(widths, reverse=True), "the largest pass comes first"


def test_evaluation_of_nothing() -> None:
    stores = [store("ner", [])]
    them = EvalLoader(
        Collator(stores, budget=10, sharing=Sharing(rows=True, branches=True, pad=0)), stores
    )
    assert len(them) == 0
    assert list(them) == []
