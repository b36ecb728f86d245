"""News about companies: who is spoken of, and how."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from scripts.corpora.fill import fill, split_lists, tagged

LISTS = {
    "firm": [
        "Halden Steel",
        "Norvik",
        "Brightwell Foods",
        "Castor Air",
        "Lumen Grid",
        "Pelham & Roe",
        "Oakline",
        "Trident Ferries",
        "Marisol Bank",
        "Kestrel Motors",
        "Vanta Health",
        "Ridgeway Rail",
        "Solent Paper",
        "Quarry Bay",
        "Iberis",
        "Tallow Street",
    ],
    "person": [
        "Mara Lindqvist",
        "Joao Prado",
        "Edith Okoye",
        "Samir Haddad",
        "Lotte Wirth",
        "Dean Aldous",
        "Keiko Arai",
        "Paul Renner",
        "Wanda Szabo",
    ],
    "place": ["Leipzig", "Osaka", "Porto", "Gdansk", "Leeds", "Tampere", "Austin", "Lyon", "Pune"],
    "share": ["3%", "a tenth", "12%", "half", "7.5%", "a fifth"],
    "time": [
        "in the third quarter",
        "this year",
        "on Tuesday",
        "since March",
        "last week",
        "overnight",
    ],
}
PATTERNS = {
    "positive": [
        "{firm:ORG} raised its forecast after orders grew by {share} {time}.",
        "Shares of {firm:ORG} climbed {share} as {person:PER} announced a record profit.",
        "{firm:ORG} won a contract to supply {firm:ORG} {time}.",
        "The plant in {place:LOC} made {firm:ORG} the market's strongest performer {time}.",
        "{person:PER} of {firm:ORG} said demand was better than anyone had hoped.",
        "{firm:ORG} will pay a higher dividend, its first increase in years.",
        "Analysts praised {firm:ORG}, whose debt fell by {share} {time}.",
    ],
    "negative": [
        "{firm:ORG} cut its forecast after orders fell by {share} {time}.",
        "Shares of {firm:ORG} sank {share} as {person:PER} resigned without a reason.",
        "{firm:ORG} lost a contract to {firm:ORG} {time}.",
        "A fire at the plant in {place:LOC} will cost {firm:ORG} {share} of its output.",
        "{person:PER} of {firm:ORG} warned that losses would grow.",
        "{firm:ORG} will pay no dividend, and staff in {place:LOC} fear for their jobs.",
        "Prosecutors in {place:LOC} searched the offices of {firm:ORG} {time}.",
    ],
    "neutral": [
        "{firm:ORG} publishes its figures {time}.",
        "{person:PER} takes over the board of {firm:ORG} {time}, as planned.",
        "{firm:ORG} moves its seat from {place:LOC} to {place:LOC}.",
        "Shareholders of {firm:ORG} meet in {place:LOC} {time}.",
        "{firm:ORG} and {firm:ORG} renewed their agreement on unchanged terms.",
        "The office of {firm:ORG} in {place:LOC} has a new address.",
        "{firm:ORG} named {person:PER} its spokesperson {time}.",
    ],
}


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: sentiments in turn, names of test not those of training."""
    train, other = split_lists(LISTS, ["share", "time"])
    lists = train if split == "train" else other
    for number in range(count):
        sentiment = list(PATTERNS)[number % len(PATTERNS)]
        text, spans = fill(draw.choice(PATTERNS[sentiment]), lists, draw)
        words, tags = tagged(text, spans)
        yield {"text": text, "tokens": words, "ner_tags": tags, "sentiment": sentiment}
