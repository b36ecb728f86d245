"""Find out, on the model itself, what its attention can do.

Not every architecture honours a 4-D mask and position ids: some take positions or windows from
the token index (ALiBi, BART, GPT-Neo), some carry recurrent state. A few short passes tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mtl.errors import ConfigError
from mtl.layout import Unit, build_rows
from mtl.trunk.blocks import let_attend
from mtl.trunk.trunk import Capabilities, Trunk
from mtl.types import IntArray

if TYPE_CHECKING:
    from transformers import PretrainedConfig

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
LONGEST_TABLE = 1024
"""Tables of positions up to this length are tried out; models with more have none, as a rule."""
LONGEST_WINDOW = 256
"""Windows up to this length are filled, so that one measured in the wrong unit shows."""


def probe(trunk: Trunk) -> Capabilities:
    """Return the trunk's capabilities, with what its attention can do as measured."""
    known = trunk.capabilities
    was_training = trunk.training
    trunk.eval()
    bidirectional = trunk.architecture != "decoder" or _holds(_attends_bidirectionally, trunk)
    share_rows = _holds(_shares_rows, trunk)
    found = replace(known, share_rows=share_rows, can_attend_bidirectionally=bidirectional)
    if share_rows and _may_attend_in_blocks(trunk):
        found = replace(found, blocks=_holds(_same_in_blocks, trunk))
    trunk.train(was_training)
    if not share_rows:
        log.warning(
            "The trunk %s cannot hold several documents in one row: each gets a row of its own.",
            trunk.config.model_type,
        )
    return found


def _may_attend_in_blocks(trunk: Trunk) -> bool:
    known = trunk.capabilities
    one_mask = (
        known.positions and not known.window_by_layer and trunk.architecture != "encoder-decoder"
    )
    return one_mask and let_attend(trunk.model)


def _same_in_blocks(trunk: Trunk) -> bool:
    """Compare rows with and without padding, together as long as a table of positions, or longer.

    Some models allow no more tokens in a row than they have positions for.
    """
    known, limit = trunk.capabilities, trunk.positions or 0
    long = limit // 2 + 1 if limit <= LONGEST_TABLE else 9
    ids = np.split(_some_ids(trunk, long + 12), [long, long + 7])
    branches = [ids[2]] if trunk.architecture == "decoder" else []
    rows = [[Unit(ids[0])], [Unit(ids[1], branches)], [Unit(ids[0][: long - 1])]]
    batch = build_rows(rows, 0, bidirectional=trunk.attention == "bidirectional").batch
    batch = batch.to(trunk.model.device)
    real = batch.unit.flatten() >= 0
    wanted = trunk(batch)[real]
    try:
        trunk.capabilities = replace(known, blocks=True)
        found = trunk(batch)[real]
    finally:
        trunk.capabilities = known
    return _close(found, wanted)


def _close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    scale = wanted.abs().mean().clamp_min(1.0)
    return bool((found - wanted).abs().max() <= TOLERANCE * scale)


def _holds(check: Callable[[Trunk], bool], trunk: Trunk) -> bool:
    """Run a check; a model that refuses the mask does not pass it."""
    refusals = (ValueError, RuntimeError, TypeError, AttributeError, LookupError, ConfigError)
    try:
        with torch.no_grad():
            return check(trunk)
    except refusals:
        return False


def _attends_bidirectionally(trunk: Trunk) -> bool:
    """Whether the last token of a document read bidirectionally changes the states before it."""
    ids = _some_ids(trunk, 8)
    first = _run(trunk, [Unit(ids[:7], bidirectional=True)])[:6]
    other = _run(trunk, [Unit(np.append(ids[:6], ids[7]), bidirectional=True)])[:6]
    return bool((first - other).abs().max() > 1e-5 * first.abs().mean())


def _shares_rows(trunk: Trunk) -> bool:
    """Compare a row of two units, one with two branches, with the same parts run alone.

    Only decoders have branches.
    """
    window = _window(trunk.config)
    sizes = [max(7, window + 3), 5, max(3, window // 2), 4]
    ids = np.split(_some_ids(trunk, sum(sizes)), np.cumsum(sizes)[:-1])
    document, second, one, two = ids
    if trunk.architecture == "decoder":
        alone = [_run(trunk, [Unit(document, [branch])]) for branch in (one, two)]
        parts = [alone[0], alone[1][len(document) :]]
        packed = _run(trunk, [Unit(document, [one, two]), Unit(second)])
    else:
        parts = [_run(trunk, [Unit(document)])]
        packed = _run(trunk, [Unit(document), Unit(second)])
    wanted = torch.cat([*parts, _run(trunk, [Unit(second)])])
    return _close(packed, wanted)


def _run(trunk: Trunk, row: list[Unit]) -> torch.Tensor:
    bidirectional = trunk.attention == "bidirectional"
    return trunk(build_rows([row], 0, bidirectional=bidirectional).batch.to(trunk.model.device))


def _window(config: PretrainedConfig) -> int:
    """The longest window, of those short enough to fill, that the configuration speaks of."""
    limit = getattr(config, "max_position_embeddings", None)
    longest = min(LONGEST_WINDOW, limit // 2 if isinstance(limit, int) else LONGEST_WINDOW)
    sizes = [v for k, v in vars(config).items() if "window" in k or "local_attention" in k]
    return max([v for v in sizes if type(v) is int and 0 < v <= longest], default=0)


def _some_ids(trunk: Trunk, count: int) -> IntArray:
    size = int(getattr(trunk.config, "vocab_size", 64))
    special = set(trunk.tokenizer.all_special_ids) if trunk.tokenizer is not None else set()
    usual = [i for i in range(size // 2, size) if i not in special] or list(range(size))
    return np.asarray([usual[(i * 7) % len(usual)] for i in range(count)], dtype=np.int32)
