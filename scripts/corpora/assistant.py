"""What people tell an assistant: an intent, and slots."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from scripts.corpora.fill import fill, split_lists, tagged

LISTS = {
    "artist": [
        "Marlow Quint",
        "The Low Lanterns",
        "Ada Verhoeven",
        "Nine Ferries",
        "Olu Brandt",
        "Paper Orchard",
        "Tessa Rook",
        "the Hollis Trio",
        "Blue Harrow",
    ],
    "place": [
        "Port Hadley",
        "Wexcombe",
        "Lund Street",
        "Ostrava Square",
        "the old mill",
        "Birk Harbor",
        "North Tarn",
        "Calder Bridge",
        "Saint Odo",
    ],
    "food": ["ramen", "flat bread", "a good curry", "pancakes", "grilled fish", "dumplings"],
    "person": [
        "Ines",
        "my brother",
        "Doctor Falk",
        "Yusuf",
        "Mrs. Abara",
        "Pia",
        "Tomas",
        "aunt Greta",
        "Lev",
    ],
    "time": [
        "seven",
        "half past six",
        "9:15",
        "noon",
        "a quarter to eight",
        "midnight",
        "five in the morning",
        "10:40",
        "three",
    ],
    "day": [
        "tomorrow",
        "on Friday",
        "next Monday",
        "this evening",
        "on Sunday",
        "the day after tomorrow",
    ],
    "note": [
        "the train is late",
        "dinner is ready",
        "I found the key",
        "we need flour",
        "the meeting moved",
        "the dog is fine",
    ],
}
PATTERNS = {
    "set_alarm": [
        "wake me at {time:TIME} {day:DATE}",
        "set an alarm for {time:TIME}",
        "I have to be up by {time:TIME} {day:DATE}",
        "alarm at {time:TIME} please",
        "can you ring at {time:TIME} {day:DATE}?",
        "move the alarm to {time:TIME}",
    ],
    "play_music": [
        "play {artist:ARTIST}",
        "put on something by {artist:ARTIST}",
        "I want to hear {artist:ARTIST} {day:DATE}",
        "next song, and make it {artist:ARTIST}",
        "anything new from {artist:ARTIST}?",
        "{artist:ARTIST}, loud please",
    ],
    "weather": [
        "will it rain in {place:PLACE} {day:DATE}?",
        "how cold is it in {place:PLACE}?",
        "do I need a coat {day:DATE}?",
        "weather for {place:PLACE} at {time:TIME}",
        "is there snow near {place:PLACE}?",
        "tell me if the sun shines {day:DATE} in {place:PLACE}",
    ],
    "send_message": [
        "tell {person:PERSON} that {note:TEXT}",
        "write to {person:PERSON}: {note:TEXT}",
        "message {person:PERSON} at {time:TIME}",
        "let {person:PERSON} know {note:TEXT}",
        "text {person:PERSON} {day:DATE}",
        "answer {person:PERSON} with {note:TEXT}",
    ],
    "find_place": [
        "where can I eat {food:FOOD} near {place:PLACE}?",
        "find {food:FOOD} in {place:PLACE}",
        "take me to {place:PLACE}",
        "is anything open at {time:TIME} in {place:PLACE}?",
        "who serves {food:FOOD} {day:DATE}?",
        "book a table with {food:FOOD} at {time:TIME}",
    ],
}


def rows(split: str, count: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows of a split: intents in turn, fillers of test not those of training."""
    train, other = split_lists(LISTS, ["day", "time"])
    lists = train if split == "train" else other
    intents = list(PATTERNS)
    for number in range(count):
        intent = intents[number % len(intents)]
        text, spans = fill(draw.choice(PATTERNS[intent]), lists, draw)
        words, tags = tagged(text, spans)
        yield {"text": text, "tokens": words, "slots": tags, "intent": intent}
