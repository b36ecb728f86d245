"""Tickets to a shop: what is wanted, in which mood, about what, and what was written back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from scripts.corpora.fill import fill, split_lists, tagged

LISTS = {
    "product": [
        "Alto kettle",
        "Brisa fan",
        "Corvo lamp",
        "Dune mattress",
        "Elm desk",
        "Fjord jacket",
        "Gale umbrella",
        "Hearth stove",
        "Iris radio",
    ],
    "order": [
        "B-1042",
        "B-2217",
        "K-0093",
        "K-5510",
        "M-3341",
        "M-7788",
        "P-1209",
        "P-4400",
        "T-6215",
    ],
    "day": ["Monday", "the 3rd of May", "last Friday", "12 June", "yesterday", "the 21st"],
}
ANGRY = [
    "This is the second time!",
    "I am very disappointed.",
    "Nobody answers me.",
    "I have lost all patience.",
    "What a mess.",
]
CALM = ["Thank you in advance.", "No hurry.", "Kind regards.", "", "I hope you can help."]
GLAD = [
    "Thanks, your service is great!",
    "I love it otherwise.",
    "You have been wonderful so far.",
    "Great shop!",
]
MOODS = {"negative": ANGRY, "neutral": CALM, "positive": GLAD}
PATTERNS = {
    "refund": (
        [
            "I want my money back for the {product:PRODUCT}.",
            "Please refund order {order:ORDER}, the {product:PRODUCT} came broken.",
            "I sent the {product:PRODUCT} back on {day:DATE} and have seen no money.",
        ],
        "We will refund your order within five days.",
    ),
    "delivery": (
        [
            "Where is order {order:ORDER}?",
            "The {product:PRODUCT} was due on {day:DATE} and is not here.",
            "Can you send order {order:ORDER} to my office instead?",
        ],
        "We have asked the carrier and will write to you today.",
    ),
    "fault": (
        [
            "The {product:PRODUCT} does not switch on since {day:DATE}.",
            "My {product:PRODUCT} makes a loud noise.",
            "A part of the {product:PRODUCT} is loose, order {order:ORDER}.",
        ],
        "Please send us a picture, and we will replace it.",
    ),
    "account": (
        [
            "I cannot log in since {day:DATE}.",
            "Please change the address of order {order:ORDER}.",
            "How do I delete my account?",
        ],
        "You can change this under Settings, Account.",
    ),
}
KNOWLEDGE = [
    {
        "id": "refund",
        "title": "Refunds",
        "text": "Money for goods that come back or arrive broken is refunded within five days to the card that paid.",
    },
    {
        "id": "delivery",
        "title": "Where is my parcel?",
        "text": "Parcels take three days. The tracking page shows where an order is; the address can be changed until it is sent.",
    },
    {
        "id": "fault",
        "title": "Faulty products",
        "text": "If a product does not work, makes a noise or has a loose part, send a picture; it is replaced for two years.",
    },
    {
        "id": "account",
        "title": "Your account",
        "text": "Log in, change your address or delete your account under Settings, Account.",
    },
    {
        "id": "voucher",
        "title": "Vouchers",
        "text": "Gift cards are valid for three years and can be used for several purchases.",
    },
    {
        "id": "jobs",
        "title": "Working here",
        "text": "Open positions are listed on our careers page in spring and autumn.",
    },
]


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: intents and moods in turn, products of test not those of training."""
    train, other = split_lists(LISTS, ["day"])
    lists = train if split == "train" else other
    for number in range(count):
        intent, mood = list(PATTERNS)[number % 4], list(MOODS)[number % 3]
        patterns, reply = PATTERNS[intent]
        text, spans = fill(draw.choice(patterns), lists, draw)
        text = f"{text} {draw.choice(MOODS[mood])}".strip()
        words, tags = tagged(text, spans)
        yield {
            "text": text,
            "tokens": words,
            "ner_tags": tags,
            "intent": intent,
            "sentiment": mood,
            "reply": reply,
            "article": intent,
        }
