"""Find out, on the model itself, whether rows can be shared.

Not every architecture honours a 4-D mask and position ids: some take positions from the token
index (ALiBi, T5's bias), some carry recurrent state. Two short passes tell.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import torch

from mtl.rows import Unit, build_rows
from mtl.trunk.trunk import Capabilities, Trunk
from mtl.types import IntArray

log = logging.getLogger(__name__)

TOLERANCE = 1e-3


def probe(trunk: Trunk) -> Capabilities:
    """Return the trunk's capabilities, with `share_rows` as measured.

    A row with two units, one of them with two branches where the trunk can have branches, is
    compared with the same parts run alone.
    """
    branches = trunk.kind == "decoder"
    if not trunk.capabilities.positions:
        return replace(trunk.capabilities, share_rows=False)
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.no_grad():
            right = _agrees(trunk, branches=branches)
    except (ValueError, RuntimeError, TypeError, AttributeError, NotImplementedError, KeyError):
        right = False
    finally:
        trunk.train(was_training)
    if not right:
        log.warning(
            "The trunk %s cannot hold several documents in one row: each gets a row of its own.",
            trunk.config.model_type,
        )
    return replace(trunk.capabilities, share_rows=right)


def _agrees(trunk: Trunk, *, branches: bool) -> bool:
    both_ways = trunk.attention == "bidirectional"
    ids = _some_ids(trunk)
    first, second, one, two = ids[:7], ids[7:12], ids[12:15], ids[15:19]
    together = [Unit(first, [one, two] if branches else []), Unit(second, [])]
    alone = [[Unit(first, [one])], [Unit(first, [two])]] if branches else [[Unit(first, [])]]
    alone.append([Unit(second, [])])
    packed = build_rows([together], 0, bidirectional=both_ways)
    states = trunk(packed.batch)
    wanted = [_alone(trunk, row, both_ways) for row in alone]
    if branches:
        wanted = [wanted[0], wanted[1][len(first) :], wanted[2]]
    expected = torch.cat(wanted)
    scale = expected.abs().mean().clamp_min(1e-6)
    return bool((states[: len(expected)] - expected).abs().max() <= TOLERANCE * scale.clamp_min(1))


def _alone(trunk: Trunk, row: list[Unit], both_ways: bool) -> torch.Tensor:
    return trunk(build_rows([row], 0, bidirectional=both_ways).batch)


def _some_ids(trunk: Trunk) -> IntArray:
    count = 19
    size = int(getattr(trunk.config, "vocab_size", 64))
    special = set(trunk.tokenizer.all_special_ids) if trunk.tokenizer is not None else set()
    usual = [i for i in range(size // 2, size) if i not in special] or list(range(size))
    return np.asarray([usual[(i * 7) % len(usual)] for i in range(count)], dtype=np.int32)
