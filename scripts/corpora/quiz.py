"""Notices with questions, of which some have no answer there, as in SQuAD 2.0."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from scripts.corpora.fill import fill, split_lists

LISTS = {
    "thing": [
        "ferry",
        "market",
        "library",
        "museum",
        "pool",
        "night train",
        "concert",
        "workshop",
        "bakery",
    ],
    "time": [
        "at seven",
        "at noon",
        "at half past nine",
        "at midnight",
        "at a quarter past four",
        "at ten",
    ],
    "place": [
        "by the harbor",
        "in Mill Lane",
        "behind the station",
        "at the old school",
        "on the north pier",
        "in the town hall",
    ],
    "person": [
        "Mrs. Tolland",
        "Ivo Brandt",
        "Captain Sorel",
        "the mayor",
        "Agnes Pike",
        "Mr. Okafor",
    ],
    "price": [
        "four crowns",
        "nothing at all",
        "twelve dollars",
        "one euro",
        "half the usual fare",
        "two shillings",
    ],
}
PATTERNS = [
    "The {thing} opens {time:when} {place:where}; ask for {person:who}.",
    "{person:who} runs the {thing} {place:where}, and it costs {price:cost}.",
    "From Monday on the {thing} starts {time:when} and costs {price:cost}.",
    "The {thing} has moved: it is {place:where} now, {time:when}, says {person:who}.",
]
ASKED = {
    "when": "When does it start?",
    "where": "Where is it?",
    "who": "Who is in charge?",
    "cost": "What does it cost?",
}


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: two questions that have an answer, one that has none."""
    train, other = split_lists(LISTS, ["time"])
    lists = train if split == "train" else other
    for _ in range(count):
        text, spans = fill(draw.choice(PATTERNS), lists, draw)
        found = {span.label: text[span.start : span.end] for span in spans}
        starts = {span.label: span.start for span in spans}
        asked = draw.sample(sorted(found), 2) + draw.sample(sorted(set(ASKED) - set(found)), 1)
        questions = [
            {"question": ASKED[a], "answer": found.get(a, ""), "start": starts.get(a, 0)}
            for a in asked
        ]
        yield {"text": text, "questions": questions}
