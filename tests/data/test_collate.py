"""Groups of examples to micro-batches: every read lands on its own token."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.schema import TrunkConfig
from mtl.data.collate import Collator, Pair, Sharing
from mtl.data.store import ExampleStore
from mtl.trunk.load import load_trunk
from mtl.types import Encoded, MicroBatch
from tests.data.examples import example, store
from tests.helpers import llama_config, save_tiny
from tests.properties import max_examples

PAD = 0


def collator(stores: list[ExampleStore], *, budget: int = 60, share: bool = True) -> Collator:
    return Collator(stores, budget=budget, sharing=Sharing(rows=share, branches=share, pad=PAD))


def by_document(stores: list[ExampleStore]) -> list[list[Pair]]:
    groups: dict[int, list[Pair]] = {}
    for task, one in enumerate(stores):
        for index, key in enumerate(one.keys.tolist()):
            groups.setdefault(key, []).append((task, index))
    return list(groups.values())


def some_stores(seed: int, *, top: int = 10**6) -> list[ExampleStore]:
    """Tagging, pooled classification and two questions, partly over the same documents."""
    rng = np.random.default_rng(seed)
    tagged, pooled, asked = [], [], []
    for _ in range(int(rng.integers(1, 7))):
        windows = rng.integers(1, 12, int(rng.integers(1, 4))).tolist()
        first = example(rng, windows, top=top)
        tagged.append(first)
        if rng.random() < 0.7:
            pooled.append(pool(first))
        for _ in range(int(rng.integers(0, 3))):
            tails = [(int(rng.integers(len(windows))), int(rng.integers(1, 6)))]
            asked.append(ask(first, example(rng, windows, tails, top=top)))
    return [store("ner", tagged), store("topic", pooled), store("qa", asked)]


def pool(other: Encoded) -> Encoded:
    """An example that averages all tokens of another's windows."""
    zeros = np.zeros(len(other.part), dtype=np.int32)
    return replace(other, group=zeros, targets={"ids": other.targets["ids"][:1]}, mass=1.0)


def ask(document: Encoded, other: Encoded) -> Encoded:
    """`other`, with the windows of `document` in place of its own."""
    count = sum(map(len, document.documents))
    ids = np.concatenate([*document.documents, other.targets["ids"][count:]])
    return replace(other, documents=document.documents, targets={"ids": ids})


def positions_of(item: Encoded) -> list[int]:
    """Position of each read token in what the trunk reads: branches go on from their window."""
    sizes = [len(d) for d in item.documents]
    begin = [0] * len(sizes) + [sizes[b.document] for b in item.branches]
    return [begin[p] + o for p, o in zip(item.part.tolist(), item.offset.tolist(), strict=True)]


def check_reads(batch: MicroBatch, stores: list[ExampleStore]) -> list[Pair]:
    """Check every read of a batch; returns the examples in it."""
    ids, places = batch.trunk.input_ids.flatten(), batch.trunk.position_ids.flatten()
    names = [s.task for s in stores]
    seen: list[Pair] = []
    for name, head in batch.heads.items():
        task = names.index(name)
        items = [stores[task].examples[i] for i in head.examples]
        wanted = [t for e in items for t in np.concatenate(parts(e)).tolist()]
        assert ids[head.positions].tolist() == wanted
        assert places[head.positions].tolist() == [p for e in items for p in positions_of(e)]
        assert head.sizes == [e.outputs for e in items]
        assert head.targets["ids"].tolist() == [t for e in items for t in e.targets["ids"]]
        assert (batch.trunk.unit.flatten()[head.positions] >= 0).all()
        seen += [(task, i) for i in head.examples]
    return seen


def parts(item: Encoded) -> list[Any]:
    return [*item.documents, *[b.ids for b in item.branches]]


@given(st.integers(0, 10**6), st.integers(1, 120), st.booleans())
@max_examples(100)
def test_every_read_lands_on_its_own_token(seed: int, budget: int, share: bool) -> None:
    stores = some_stores(seed)
    groups = by_document(stores)
    batches = collator(stores, budget=budget, share=share)(groups)
    seen = Counter(pair for b in batches for pair in check_reads(b, stores))
    assert seen == Counter(pair for group in groups for pair in group)


@given(st.integers(0, 10**6))
@max_examples(50)
def test_a_document_is_encoded_once(seed: int) -> None:
    stores = some_stores(seed)
    batches = collator(stores, budget=10**6)(by_document(stores))
    documents = {tuple(map(tuple, e.documents)) for s in stores for e in s.examples}
    branches = [b for s in stores for e in s.examples for b in e.branches]
    tokens = sum(len(w) for d in documents for w in d) + sum(len(b.ids) for b in branches)
    assert [b.trunk.tokens for b in batches] == [tokens]


def test_without_sharing_a_row_is_one_unit_with_at_most_one_branch() -> None:
    stores = some_stores(3)
    for batch in collator(stores, share=False)(by_document(stores)):
        assert batch.trunk.unit.max() == 0
        assert batch.trunk.segment.max() <= 1
        assert batch.trunk.plain


def test_pooled_outputs_are_means_of_their_tokens() -> None:
    stores = some_stores(5)
    batches = collator(stores)(by_document(stores))
    for batch in batches:
        hidden = torch.randn(batch.trunk.input_ids.numel(), 3)
        hidden[:, 0] = batch.trunk.input_ids.flatten()
        head = batch.heads.get("topic")
        for row, index in zip(head.read(hidden), head.examples, strict=True) if head else []:
            tokens = np.concatenate(stores[1].examples[index].documents)
            assert row[0].item() == pytest.approx(tokens.mean(), rel=1e-5)


def test_what_heads_read_does_not_depend_on_packing(
    tmp_path: Any, tokenizers: dict[str, Any]
) -> None:
    """Every task's states: all documents in shared rows, and each example in a pass of its own."""
    trunk = load_trunk(
        TrunkConfig(name="hf", path=str(save_tiny(tmp_path, llama_config(), tokenizers["bpe"])))
    ).eval()
    stores = some_stores(11, top=195)
    packed, alone = collator(stores, budget=40), collator(stores, share=False)
    for batch in packed(by_document(stores)):
        hidden = trunk(batch.trunk)
        for name, head in batch.heads.items():
            task = [s.task for s in stores].index(name)
            found = torch.split(head.read(hidden), head.sizes)
            for index, states in zip(head.examples, found, strict=True):
                (single,) = alone([[(task, index)]])
                wanted = single.heads[name].read(trunk(single.trunk))
                torch.testing.assert_close(states, wanted, rtol=1e-5, atol=1e-5)


def test_directions_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    one = example(rng, [5])
    stores = [store("ner", [one], bidirectional=True), store("topic", [pool(one)])]
    (batch,) = collator(stores)(by_document(stores))
    assert batch.trunk.bidirectional.sum() == 5
    assert batch.trunk.tokens == 10, "the document is encoded once a direction"
    both = batch.trunk.bidirectional.flatten()
    assert both[batch.heads["ner"].positions].all()
    assert not both[batch.heads["topic"].positions].any()


def test_size_and_units_count_a_document_once() -> None:
    rng = np.random.default_rng(0)
    first = example(rng, [5, 7])
    asked = [ask(first, example(rng, [5, 7], [(1, n)])) for n in (2, 3)]
    stores = [store("ner", [first]), store("qa", asked)]
    (group,) = by_document(stores)
    them = collator(stores)
    assert them.size(group) == 5 + 7 + 2 + 3
    assert [len(u) for u in them.merge(group).units] == [5, 7 + 2 + 3]


def test_nothing_to_collate() -> None:
    assert collator([store("ner", [])])([]) == []


def test_denominators_are_summed_by_task() -> None:
    rng = np.random.default_rng(0)
    stores = [
        store("ner", [example(rng, [2], mass=mass) for mass in (1.0, 2.0, 4.0)]),
        store("qa", [example(rng, [2], mass=0.5)]),
    ]
    groups = [[(0, 1), (1, 0)], [(0, 2)]]
    assert collator(stores).denominators(groups) == {"ner": 6.0, "qa": 0.5}
