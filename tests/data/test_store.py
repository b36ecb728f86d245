"""Encoded examples with the figures that planning needs."""

from __future__ import annotations

import numpy as np

from mtl.data.store import build_store
from mtl.types import Encoded
from tests.data.examples import example, store
from tests.helpers import ints


def bare(*windows: list[int]) -> Encoded:
    documents = [ints(*w) for w in windows]
    return Encoded(documents, ints(), ints(), {}, mass=0.0)


def key(*windows: list[int], bidirectional: bool = False) -> int:
    return int(store("t", [bare(*windows)], bidirectional=bidirectional).keys[0])


def test_equal_documents_have_equal_keys_whatever_follows_them() -> None:
    rng = np.random.default_rng(0)
    first, other = example(rng, [4]), example(rng, [4], [(0, 3)], pooled=True)
    other.documents = [first.documents[0].copy()]
    assert store("a", [first]).keys[0] == store("b", [other]).keys[0]


def test_different_documents_have_different_keys() -> None:
    documents = [([1, 2, 3],), ([1, 2], [3]), ([1], [2, 3]), ([3, 2, 1],), ([1, 2],), ()]
    keys = {key(*d) for d in documents} | {key([1, 2, 3], bidirectional=True)}
    assert len(keys) == len(documents) + 1


def test_keys_do_not_depend_on_the_process_or_the_integer_type() -> None:
    assert key([1, 2, 3]) == 468332143640581275
    wide = bare([1, 2, 3])
    wide.documents = [wide.documents[0].astype(np.int64)]
    assert int(store("t", [wide]).keys[0]) == key([1, 2, 3])


def test_figures_of_each_example() -> None:
    rng = np.random.default_rng(0)
    items = [example(rng, [4, 2], [(0, 3)]), example(rng, [5], pooled=True, mass=0.5)]
    found = store("t", items)
    assert len(found) == 2
    assert found.lengths.tolist() == [9, 5]
    assert found.masses.tolist() == [9.0, 0.5]
    assert [e.outputs for e in found.examples] == [9, 1]
    assert found.rows[1] == {"number": 1}


def test_examples_are_taken_as_they_come() -> None:
    rng = np.random.default_rng(0)
    items = (example(rng, [2]) for _ in range(3))
    found = build_store("t", [{}] * 3, items, bidirectional=True)
    assert len(found) == 3
    assert found.bidirectional


def test_no_examples() -> None:
    empty = store("t", [])
    assert len(empty) == 0
    assert empty.keys.dtype == np.uint64
