"""For which examples of an evaluation texts are written, and in which batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import EvalLoader, Writes
from mtl.data.store import ExampleStore
from mtl.types import Encoded, MicroBatch, WriteBatch
from tests.data.examples import example, store
from tests.properties import max_examples

Asked = dict[str, Writes]


def some_stores(seed: int, *, reads: bool = True) -> list[ExampleStore]:
    """Return two tasks that write, for the same documents, and one that does not."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, int(rng.integers(1, 40))).tolist()
    summaries = [example(rng, [n], [(0, int(rng.integers(1, 6)))]) for n in sizes]
    answers = [replace(e, branches=e.branches * 2) for e in summaries for _ in range(2)]
    if not reads:
        summaries = [unread(e) for e in summaries]
    answers = [unread(e) for e in answers]
    named = {"summaries": summaries, "answers": answers, "ner": [example(rng, [5])]}
    return [store(name, examples) for name, examples in named.items()]


def unread(encoded: Encoded) -> Encoded:
    nothing = np.zeros(0, dtype=np.int32)
    return replace(encoded, part=nothing, offset=nothing, targets={}, mass=0.0)


def evaluation(
    stores: list[ExampleStore],
    budget: int,
    asked: Asked,
    world: int = 1,
    *,
    keeps: bool = False,
    **options: int,
) -> list[list[MicroBatch | WriteBatch]]:
    """Return the batches of every rank."""
    found = []
    for rank in range(world):
        collator = Collator(stores, budget=budget, sharing=Sharing(rows=True, branches=True, pad=0))
        loader = EvalLoader(
            collator, stores, rank=rank, world=world, writes=asked, keeps=keeps, **options
        )
        batches = list(loader)
        assert len(batches) == len(loader)
        found.append(batches)
    return found


def writes(batches: list[MicroBatch | WriteBatch]) -> list[WriteBatch]:
    return [b for b in batches if isinstance(b, WriteBatch)]


def reads(batches: list[MicroBatch | WriteBatch]) -> Counter[tuple[str, int]]:
    passes = [b for b in batches if isinstance(b, MicroBatch)]
    return Counter((n, i) for b in passes for n, h in b.heads.items() for i in h.examples)


@given(
    seed=st.integers(0, 10**6),
    world=st.integers(1, 4),
    budget=st.integers(1, 200),
    few=st.none() | st.integers(1, 50),
)
@max_examples(60)
def test_every_asked_example_once_over_all_ranks(
    seed: int, world: int, budget: int, few: int | None
) -> None:
    stores = some_stores(seed)
    asked = {"summaries": Writes(few, 7), "answers": Writes(None, 3)}
    ranks = evaluation(stores, budget, asked, world)
    for part in stores[:2]:
        mine = [b for batches in ranks for b in writes(batches) if b.task == part.task]
        found = Counter(i for b in mine for i in b.examples)
        size = len(part)
        most = asked[part.task].examples
        assert set(found.values()) == {1}
        assert len(found) == (size if most is None else min(most, size))
        assert max(found) < size
        for batch in mine:
            longest = max(part.lengths[batch.examples]) + asked[part.task].new_tokens
            assert len(batch.examples) == 1 or longest * len(batch.examples) <= budget


@pytest.mark.parametrize("budget", [1, 100, 10**6])
def test_ranks_write_alike_much(budget: int) -> None:
    """Whether a batch holds one example or all of them."""
    ranks = evaluation(some_stores(3), budget, {"answers": Writes(None, 3)}, world=3)
    counts = [sum(len(b.examples) for b in writes(batches)) for batches in ranks]
    assert max(counts) - min(counts) <= 1
    assert min(counts) > 0


def test_passes_come_first_and_then_what_is_written() -> None:
    (batches,) = evaluation(some_stores(1), 50, {"summaries": Writes(None, 3)})
    kinds = [isinstance(b, WriteBatch) for b in batches]
    assert kinds == sorted(kinds)
    assert set(kinds) == {False, True}


def test_a_part_is_spread_evenly_and_always_the_same() -> None:
    rng = np.random.default_rng(0)
    stores = [store("summaries", [example(rng, [3 + n % 5]) for n in range(100)])]
    found = []
    for budget, world in ((10, 1), (1000, 1), (50, 3)):
        ranks = evaluation(stores, budget, {"summaries": Writes(8, 4)}, world)
        found.append(sorted(i for batches in ranks for b in writes(batches) for i in b.examples))
    assert found[0] == found[1] == found[2]
    steps = np.diff(found[0])
    assert steps.min() >= 12
    assert steps.max() <= 13


def test_batches_hold_examples_of_like_length() -> None:
    stores = some_stores(7)
    (batches,) = evaluation(stores, 150, {"summaries": Writes(None, 5)})
    lengths = [stores[0].lengths[b.examples] for b in writes(batches)]
    ordered = np.concatenate(lengths)
    assert (np.diff(ordered) <= 0).all(), "the longest come first"
    assert len(lengths) < len(stores[0])


@pytest.mark.parametrize("asked", [{}, {"summaries": Writes(None, 3)}], ids=["not asked", "asked"])
def test_what_reads_nothing_takes_no_part_in_passes(asked: Asked) -> None:
    stores = some_stores(2, reads=False)
    (batches,) = evaluation(stores, 60, asked)
    assert reads(batches) == {("ner", 0): 1}
    assert bool(writes(batches)) == bool(asked)
    assert not any(b.task == "ner" for b in writes(batches))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_few_examples_share_a_document(most: int) -> None:
    rng = np.random.default_rng(4)
    first, second = (example(rng, [6], [(0, 2)]) for _ in range(2))
    shared = [first, second, first, first, second, first, first]
    stores = [store("answers", shared), store("more", [first, second])]
    (batches,) = evaluation(stores, 10**6, {}, max_branches=most)
    assert reads(batches) == Counter((s.task, i) for s in stores for i in range(len(s)))
    for batch in batches:
        assert isinstance(batch, MicroBatch)
        trunk = batch.trunk
        counts = [
            int(trunk.segment[row][trunk.unit[row] == unit].max())
            for row in range(len(trunk.unit))
            for unit in range(int(trunk.unit[row].max()) + 1)
        ]
        assert max(counts) == most
        assert sum(counts) == 9


@given(
    seed=st.integers(0, 10**6),
    world=st.integers(1, 3),
    budget=st.integers(1, 200),
    few=st.none() | st.integers(1, 50),
    most=st.integers(1, 4),
)
@max_examples(60)
def test_kept_documents_are_read_before_texts_are_written_after_them(
    seed: int, world: int, budget: int, few: int | None, most: int
) -> None:
    stores = some_stores(seed)
    by_task = {s.task: s for s in stores}
    asked = {"summaries": Writes(few, 7), "answers": Writes(None, 3)}
    plain = evaluation(stores, budget, asked, world, max_branches=most)
    for mine, others in zip(
        evaluation(stores, budget, asked, world, max_branches=most, keeps=True), plain, strict=True
    ):
        assert reads(mine) == reads(others)
        assert written(mine) == written(others)
        held: set[tuple[str, int]] = set()
        for batch in mine:
            if isinstance(batch, MicroBatch):
                ids = batch.trunk.input_ids.flatten().numpy()
                for kept in batch.keep:
                    for task, example in kept.readers:
                        (document,) = by_task[task].examples[example].documents
                        part = ids[kept.start : kept.start + kept.length]
                        assert part.tolist() == document.tolist()
                        assert (task, example) not in held
                        held.add((task, example))
            elif batch.read:
                those = {(batch.task, e) for e in batch.examples}
                assert those <= held
                held -= those
        assert not held, "what is kept is written after"
        if world == 1:
            assert all(b.read for b in writes(mine)), "every document is in a pass"


def written(batches: list[MicroBatch | WriteBatch]) -> Counter[tuple[str, int]]:
    return Counter((b.task, e) for b in writes(batches) for e in b.examples)


def test_documents_that_see_all_of_themselves_are_not_kept() -> None:
    stores = [replace(s, bidirectional=True) for s in some_stores(3)]
    (batches,) = evaluation(stores, 100, {"summaries": Writes(None, 3)}, keeps=True)
    assert writes(batches)
    assert not any(b.read for b in writes(batches))
    assert not any(b.keep for b in batches if isinstance(b, MicroBatch))


def test_batches_of_texts_may_be_larger_than_passes() -> None:
    stores, asked = some_stores(5), {"summaries": Writes(None, 3)}
    (small,) = evaluation(stores, 40, asked, keeps=True)
    (large,) = evaluation(stores, 40, asked, keeps=True, write_budget=10**6)
    assert reads(small) == reads(large)
    assert written(small) == written(large)
    assert all(b.trunk.tokens_with_padding <= 40 for b in large if isinstance(b, MicroBatch))
    assert len(writes(small)) > len(writes(large)) == 1
