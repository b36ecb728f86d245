"""What readers like, what a book is about, and how many stars they gave it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

TOPICS = [
    "the sea",
    "mathematics",
    "gardens",
    "old railways",
    "cooking",
    "detectives",
    "mountains",
    "music",
    "dragons",
    "history",
    "birds",
    "space",
]
KINDS = ["A novel", "A short book", "A heavy volume", "A slim collection", "A picture book"]
LIKES = [
    "I read everything about {a} and {b}.",
    "Give me {a}, and sometimes {b}.",
    "Mostly {a}; {b} on Sundays.",
    "Friends know me for {a} and {b}.",
]
ABOUT = [
    "{kind} about {a}.",
    "{kind} on {a} and {b}.",
    "{kind}: {a}, told slowly.",
    "{kind} in which {b} meets {a}.",
]
EACH = 6
"""Books that a reader has rated."""


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: some books for each reader; no reader is in two splits."""
    for number in range(count // EACH):
        loves, likes, *others = draw.sample(TOPICS, len(TOPICS))
        reader = draw.choice(LIKES).format(a=loves, b=likes)
        for a, b, stars in (
            (loves, likes, 5),
            (loves, others[0], 4),
            (likes, others[1], 4),
            (others[2], likes, 3),
            (others[3], others[4], 2),
            (others[5], others[6], 1),
        ):
            book = draw.choice(ABOUT).format(kind=draw.choice(KINDS), a=a, b=b)
            rating = stars if a in book and (b in book or stars in (1, 2)) else max(1, stars - 1)
            yield {"reader": f"{split}-{number}", "profile": reader, "book": book, "stars": rating}
