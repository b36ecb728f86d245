"""The known key that a person most likely meant."""

from __future__ import annotations

from collections.abc import Sequence

from mtl.errors import Problem, nearest


def unknown_key(
    key: str,
    names: Sequence[str],
    known: Sequence[str],
    node: str = "",
    near: str | None = None,
) -> Problem:
    """Return the problem of a dotted key that does not exist.

    Args:
        key: What was found.
        names: What would have been right in its place.
        known: All dotted keys, for one that stands elsewhere.
        node: The key of its group.
        near: The key that was meant, as words, where it is known.
    """
    beside = [f"{node}.{name}" if node else name for name in sorted(names)]
    near = near or suggest_key(key, [*beside, *known])
    choice = f", one of {{{', '.join(sorted(names))}}}" if names and not near else ""
    inside = f" of `{node}`" if choice and node else ""
    advice = f"Did you mean {near}?" if near else ""
    return Problem(key, f"to be a key{inside}{choice}", "it is none", advice)


ALIASES = {
    "learning_rate": "trunk.lr",
    "batch_size": "batching.examples",
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "num_train_epochs": "trainer.max_epochs",
    "steps": "trainer.max_steps",
    "gpus": "trainer.devices",
    "model": "trunk",
    "loss_weight": "tasks.<name>.weight",
    "warmup_ratio": "schedule.warmup",
    "model_name_or_path": "trunk.path",
    "grad_clip": "trainer.gradient_clip_val",
}
"""What other programs call these keys."""


def suggest_key(key: str, known: Sequence[str]) -> str | None:
    """Return the known dotted keys that `key` most likely stands for, as words, or None.

    The same name in another group comes before a like one in its own, unless that is very like.

    Args:
        key: A dotted key that does not exist.
        known: All dotted keys that do.
    """
    if close := nearest(key, known, cutoff=0.85):
        return f"`{close}`"
    node, _, leaf = key.rpartition(".")
    beside = {other.rpartition(".")[2]: other for other in known if _parent(other) == node}
    initials = "".join(word[:1] for word in leaf.split("_"))
    if node and len(initials) > 1 and initials in beside:
        return f"`{beside[initials]}`"
    below = {k.rpartition(".")[2]: k for k in reversed(known) if node and k.startswith(f"{node}.")}
    if leaf in below:
        return f"`{below[leaf]}`"
    if same := [other for other in known if other.rpartition(".")[2] == leaf]:
        return _any_of(same)
    if leaf in ALIASES:
        return f"`{ALIASES[leaf]}`"
    leaves = {other.rpartition(".")[2]: other for other in reversed(known)}
    if close := nearest(leaf, beside):
        return f"`{beside[close]}`"
    if close := nearest(leaf, below, cutoff=0.7):
        return f"`{below[close]}`"
    close = nearest(leaf, leaves, cutoff=0.7)
    return _any_of([other for other in known if other.rpartition(".")[2] == close])


def _any_of(keys: Sequence[str]) -> str | None:
    return " or ".join(f"`{key}`" for key in keys[:3]) or None


def _parent(key: str) -> str:
    return key.rpartition(".")[0]
