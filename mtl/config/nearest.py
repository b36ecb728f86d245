"""The known key that a person most likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtl.errors import one_of

# What other programs call these keys.
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


def edit_distance(left: str, right: str) -> int:
    """Return the fewest edits from one text to the other.

    An edit inserts, deletes or replaces a character, or swaps two neighbours (optimal string
    alignment; Damerau 1964).
    """
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def nearest(name: str, known: Iterable[str], share: int = 4) -> str | None:
    """Return the known name with the fewest edits, if at most a `share`-th of its characters."""
    scored = [(edit_distance(name, other), other) for other in known]
    distance, best = min(scored, default=(len(name) + 1, None))
    return best if distance <= max(1, len(name) // share) else None


def choose(where: str, name: object, known: Iterable[object]) -> str:
    """Return the sentence for a name that is not among the known ones, with the nearest.

    Args:
        where: The key or group that holds the name.
        name: What was found.
        known: The names that would have been right.
    """
    names = [str(k) for k in known]
    text = str(one_of(where, "null" if name is None else str(name), names))
    near = nearest(str(name).lower(), names, share=2)
    return f"{text} Did you mean '{near}'?" if near and "Did you mean" not in text else text


def unknown_key(key: str, siblings: Iterable[str], known: Sequence[str]) -> str:
    """Return the sentence for a dotted key that does not exist.

    Args:
        key: What was found.
        siblings: The names that would have been right in its place.
        known: All dotted keys, for one that stands elsewhere.
    """
    node, _, leaf = key.rpartition(".")
    names = sorted(siblings)
    beside = [f"{node}.{name}" if node else name for name in names]
    if near := suggest_key(key, [*beside, *known]):
        return f"Unknown key `{key}`. Did you mean {near}?"
    place = f"Expected one of {{{', '.join(names)}}}"
    return f"Unknown key `{key}`. {place}{f' in `{node}`' if node else ''}, but got '{leaf}'."


def suggest_key(key: str, known: Sequence[str]) -> str | None:
    """Return the known dotted keys that `key` most likely stands for, as words, or None.

    Args:
        key: A dotted key that does not exist.
        known: All dotted keys that do.
    """
    if close := nearest(key, known):
        return f"`{close}`"
    node, _, leaf = key.rpartition(".")
    initials = "".join(word[:1] for word in leaf.split("_"))
    siblings = {other.rpartition(".")[2]: other for other in known if other.startswith(f"{node}.")}
    if node and len(initials) > 1 and initials in siblings:
        return f"`{siblings[initials]}`"
    if same := [other for other in known if other.rpartition(".")[2] == leaf]:
        return " or ".join(f"`{other}`" for other in same[:3])
    if leaf in ALIASES:
        return f"`{ALIASES[leaf]}`"
    close = nearest(leaf, [other.rpartition(".")[2] for other in known])
    return f"`{next(k for k in known if k.rpartition('.')[2] == close)}`" if close else None
