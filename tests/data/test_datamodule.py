"""Loaders that the trainer asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mtl.config.schema import BatchingConfig, MixingConfig
from mtl.data.collate import Sharing
from mtl.data.datamodule import MultiTaskData
from mtl.data.mixing import MIXERS
from mtl.data.store import ExampleStore
from tests.data.examples import example, store

SHAPES = {"ner": 23, "topic": 11}


def stores(factor: int = 1) -> list[ExampleStore]:
    rng = np.random.default_rng(0)
    return [store(n, [example(rng, [4]) for _ in range(k * factor)]) for n, k in SHAPES.items()]


def data(**changes: Any) -> MultiTaskData:
    options = {
        "batching": BatchingConfig(examples=10, tokens=64, max_branches=4),
        "sharing": Sharing(rows=True, branches=True, pad=0),
        "mixer": MIXERS.get("proportional")(MixingConfig()),
        "seed": 1,
        "max_epochs": 3,
        **changes,
    }
    return MultiTaskData(stores(), stores(2), stores()[:1], **options)


class Place:
    def __init__(self, rank: int, world: int) -> None:
        self.global_rank, self.world_size = rank, world


@pytest.mark.parametrize(("max_steps", "steps"), [(None, 12), (5, 5), (40, 40)])
def test_steps_of_a_run(max_steps: int | None, steps: int) -> None:
    them = data(max_steps=max_steps)
    assert them.steps == len(them.train_dataloader()) == steps


def count(batches: Any) -> int:
    return sum(len(h.examples) for b in batches for h in b.heads.values())


def test_each_split_has_its_examples() -> None:
    them = data()
    assert count(b for s in them.train_dataloader() for b in s.micro_batches) == 3 * 34
    assert count(them.val_dataloader()) == 68
    assert count(them.test_dataloader()) == 23


def test_loaders_are_of_the_trainers_rank() -> None:
    found = []
    for rank in range(2):
        them = data()
        them.trainer = Place(rank, 2)  # type: ignore[assignment]
        assert (them.train_dataloader().rank, them.train_dataloader().world) == (rank, 2)
        found.append(count(them.val_dataloader()))
    assert sum(found) == 68
    assert all(found)


def test_a_step_is_moved_as_a_whole() -> None:
    them = data()
    moved = them.transfer_batch_to_device(
        next(iter(them.train_dataloader())), torch.device("meta"), 0
    )
    assert moved.micro_batches[0].trunk.input_ids.device.type == "meta"
