"""Examples from the cache are those that would be encoded; every setting has its own entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl.data.cache import ExampleCache
from mtl.data.readers.table import make_rows
from mtl.data.rows import Rows
from mtl.data.store import ExampleStore
from mtl.tasks import Task
from mtl.tasks.base import remarks, restore
from mtl.tasks.encode import encode_split, fingerprint
from mtl.trunk.text import TextEncoder
from tests.data.test_examples import equal
from tests.tasks.samples import SAMPLES, Sample, encoder, place


def table(task: Task, rows: Any) -> Rows:
    return make_rows(rows, task.roles(task.options))


def same(one: ExampleStore, other: ExampleStore) -> bool:
    return (
        all(map(equal, one.examples, other.examples))
        and len(one) == len(other)
        and list(one.rows) == list(other.rows)
        and one.bidirectional == other.bidirectional
        and all(
            np.array_equal(getattr(one, n), getattr(other, n))
            for n in ("lengths", "reads", "keys", "masses")
        )
    )


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("window", [0, 1])
def test_the_cache_gives_what_encoding_gives(tmp_path: Path, sample: Sample, window: int) -> None:
    how = sample.task().traits.attentions[-1]
    encode = encoder(sample.lengths[window], 2)
    by_hand = sample.task()
    rows = table(by_hand, sample.placed())
    plain = encode_split(by_hand, rows, encode, how)
    for _ in range(2):  # Written, then found.
        task = sample.task()
        cached = encode_split(task, rows, encode, how, cache=ExampleCache(tmp_path, least=1))
        assert same(cached, plain)
        assert task.counts == by_hand.counts
        assert remarks(task) == remarks(by_hand)


def test_what_is_in_the_cache_is_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = SAMPLES["entities in a text"].task()
    rows = table(task, SAMPLES["entities in a text"].placed())
    cache = ExampleCache(tmp_path, least=len(rows))
    done: list[int] = []
    encode_split(task, rows, encoder(), "causal", done.append, cache)
    assert sum(done) == len(rows)
    monkeypatch.setattr(TextEncoder, "tokenize", None)
    encode_split(task, rows, encoder(), "causal", done.append, cache)
    assert sum(done) == 2 * len(rows)


def test_small_splits_leave_no_file(tmp_path: Path) -> None:
    sample = SAMPLES["two classes"]
    rows = table(sample.task(), sample.placed())
    cache = ExampleCache(tmp_path, least=len(rows) + 1)
    found = encode_split(sample.task(), rows, encoder(), "causal", cache=cache)
    assert isinstance(found.examples, list)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_examples_follow_from_is_in_the_fingerprint() -> None:
    sample = SAMPLES["two classes"]
    task = sample.task()
    rows = table(task, sample.placed())
    found = {fingerprint(task, rows, encoder(), "causal")}

    def new(*arguments: Any) -> bool:
        name = fingerprint(*arguments)
        fresh = name not in found
        found.add(name)
        return fresh

    assert new(task, rows, encoder(), "bidirectional")
    assert new(task, rows, encoder(32), "causal")
    assert new(task, rows, encoder(64, 8), "causal")
    assert new(task, rows, TextEncoder(encoder().tokenizer, 64, 16), "causal")
    assert new(replace_head(sample, pooling="mean"), rows, encoder(), "causal")
    assert new(task, rows.select([0, 1, 2, 3]), encoder(), "causal")
    assert new(task, rows.select([1, 0, 2, 3, 4]), encoder(), "causal")
    other = [{**row, "text": row["text"] + "!"} for row in sample.rows]
    assert new(task, table(task, place(other)), encoder(), "causal")
    renamed = sample.task()
    restore(renamed, {"labels": ["no", "yes", "perhaps"]})
    assert new(renamed, rows, encoder(), "causal")


def replace_head(sample: Sample, **options: Any) -> Task:
    return replace(sample, head={**sample.head, **options}).task()


def test_names_and_places_are_not_in_the_fingerprint() -> None:
    sample = SAMPLES["entities"]
    one, other = sample.task("one"), sample.task("other")
    here = table(one, place(sample.rows, "here.jsonl"))
    there = table(other, [{**row, "_id": i["_id"]} for row, i in moved(sample, here)])
    assert fingerprint(one, here, encoder(), "causal") == fingerprint(
        other, there, encoder(), "causal"
    )


def moved(sample: Sample, rows: Rows) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return rows as read from another file, beside the rows of `rows`."""
    return list(zip(place(sample.rows, "there.jsonl"), rows, strict=True))
