"""What a run says of documents that are longer than one pass, before it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtl.data.store import ExampleStore


def long_documents(stores: Sequence[ExampleStore], tokens: int) -> list[str]:
    """Return a sentence for each task with such documents.

    Args:
        stores: Of training.
        tokens: ``batching.tokens``: the most tokens of a pass.
    """
    return [line for store in stores if (line := _of(store, tokens)) is not None]


def _of(store: ExampleStore, tokens: int) -> str | None:
    """Return what there is to say of one task; a document counts as often as it is read."""
    over = np.flatnonzero(store.lengths > tokens)
    windows = {int(n): len(store.examples[int(n)].documents) for n in over}
    found = [n for n, count in windows.items() if count > 1]
    if not found:
        return None
    longest = max(found, key=lambda n: int(store.lengths[n]))
    share = store.lengths[found].sum() / max(1, store.lengths.sum())
    several = len(found) > 1
    return (
        f"tasks.{store.task}: {len(found):,} of {len(store):,} training documents "
        f"{'are' if several else 'is'} longer than a pass (batching.tokens={tokens}) and read a "
        f"part at a time, twice: {'the longest has' if several else 'it has'} "
        f"{int(store.lengths[longest]):,} tokens in {windows[longest]:,} windows; "
        f"{'they take' if several else 'it takes'} {share:.0%} of the work."
    )
