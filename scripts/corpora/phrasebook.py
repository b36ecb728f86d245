"""Short sentences in English and German."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

NOUNS = [
    ("house", "das Haus"),
    ("door", "die Tür"),
    ("dog", "der Hund"),
    ("train", "der Zug"),
    ("water", "das Wasser"),
    ("street", "die Straße"),
    ("book", "das Buch"),
    ("lamp", "die Lampe"),
    ("tree", "der Baum"),
    ("bread", "das Brot"),
    ("key", "der Schlüssel"),
    ("bridge", "die Brücke"),
]
WORDS = [
    ("old", "alt"),
    ("new", "neu"),
    ("big", "groß"),
    ("small", "klein"),
    ("cold", "kalt"),
    ("good", "gut"),
    ("dark", "dunkel"),
    ("beautiful", "schön"),
]
FRAMES = [
    ("The {n} is {a}.", "{N} ist {a}."),
    ("Is the {n} {a}?", "Ist {n} {a}?"),
    ("The {n} is not {a}.", "{N} ist nicht {a}."),
    ("Today the {n} is very {a}.", "Heute ist {n} sehr {a}."),
]


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split; no sentence is in two splits."""
    every = list(itertools.product(FRAMES, NOUNS, WORDS))
    random.Random(7).shuffle(every)
    begin = {"train": 0, "validation": 260, "test": 320}[split]
    for (english, german), noun, word in every[begin : begin + count]:
        translated = german.format(n=noun[1], N=noun[1][:1].upper() + noun[1][1:], a=word[1])
        yield {"english": english.format(n=noun[0], a=word[0]), "german": translated}
    del draw
