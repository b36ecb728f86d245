"""Examples come back from a file as they were, whatever they are made of."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data import examples as module
from mtl.data.columns import seal
from mtl.data.examples import Filed, MappedExamples, write_examples
from mtl.types import Encoded
from tests.data.examples import example
from tests.properties import max_examples


def equal(one: Encoded, other: Encoded) -> bool:
    """Compare everything that two examples hold, types and shapes included."""

    def same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
        if a is None or b is None:
            return a is b
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)

    return (
        len(one.documents) == len(other.documents)
        and all(map(same, one.documents, other.documents))
        and same(one.part, other.part)
        and same(one.offset, other.offset)
        and same(one.group, other.group)
        and one.mass == other.mass
        and one.targets.keys() == other.targets.keys()
        and all(same(one.targets[n], other.targets[n]) for n in one.targets)
        and [b.document for b in one.branches] == [b.document for b in other.branches]
        and all(same(a.ids, b.ids) for a, b in zip(one.branches, other.branches, strict=True))
    )


def filed(found: list[Encoded]) -> list[Filed]:
    return [(e, 3 * n, 2**64 - 1 - n) for n, e in enumerate(found)]


def written(folder: Path, made: list[Encoded]) -> MappedExamples:
    seal(folder, write_examples(folder, filed(made)), {})
    return MappedExamples(folder)


@max_examples(25)
@given(
    shapes=st.lists(
        st.tuples(
            st.lists(st.integers(1, 5), min_size=1, max_size=3),
            st.lists(st.tuples(st.just(0), st.integers(0, 4)), max_size=2),
            st.booleans(),
        ),
        max_size=9,
    ),
    batch=st.integers(1, 4),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[tuple[list[int], list[tuple[int, int]], bool]],
    batch: int,
) -> None:
    rng = np.random.default_rng(0)
    made = [example(rng, w, b, pooled=p, mass=rng.random()) for w, b, p in shapes]
    for item in made:
        item.targets["pairs"] = rng.random((len(item.part), 2)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", batch)
        found = written(tmp_path_factory.mktemp("examples"), made)
        assert len(found) == len(made)
        assert all(equal(a, b) for a, b in zip(found, made, strict=True))
        assert all(equal(found[-i], made[-i]) for i in range(1, len(made) + 1))
        figures = found.figures
    assert figures["length"].tolist() == [e.length for e in made]
    assert figures["reads"].tolist() == [len(e.part) for e in made]
    assert figures["mass"].tolist() == [e.mass for e in made]
    assert figures["owner"].tolist() == [3 * n for n in range(len(made))]
    assert figures["key"].tolist() == [2**64 - 1 - n for n in range(len(made))]


def test_a_copy_in_another_process_maps_the_same_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = [example(rng, [4]) for _ in range(3)]
    whole = pickle.dumps(written(tmp_path, made))
    assert len(whole) < 500
    assert equal(pickle.loads(whole)[2], made[2])


def test_there_is_nothing_beyond_the_end(tmp_path: Path) -> None:
    found = written(tmp_path, [example(np.random.default_rng(0), [2])])
    for index in (1, -2):
        with pytest.raises(IndexError):
            found[index]
