"""Sentences of a text, of which none ends in a name: ``Pelham Inc. fell. Castor rose.`` has two.

Where a sentence ends is told from marks alone: a stop, ``!`` or ``?`` before anything but a small
letter, a semicolon, a line's end, or their like in Chinese and Japanese. A stop behind a single
capital or a common abbreviation ends none, so that two sentences are sooner left together than one
is cut in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

END = re.compile(r"[.!?;][\"'”’)\]]*\s+(?=\S)|[。！？；]+(?=\S)|\s*\n\s*")
SHORT = re.compile(
    r"(?:^|\W)(?:[A-Z]|\w\.\w|Mrs?|Ms|Dr|Prof|Sr|Jr|St|Inc|Corp|Cos?|Ltd|Plc|Bros|Gov|Sen|Rep|Gen|vs"
    r"|No|Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\.\s*$",
    re.IGNORECASE,
)

LOOK = 16
"""Characters before a stop that tell of an abbreviation; all of those above are shorter."""


def sentences(text: str, names: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Return where the sentences of a text begin and end, in characters.

    Args:
        text: The text.
        names: Where names begin and end.
    """
    held = list(names)
    cuts = [0]
    for found in END.finditer(text):
        at = found.end()
        if any(start < at and found.start() < end - 1 for start, end in held):
            continue
        stop = found.start()
        if _ends(text[max(0, stop - LOOK) : stop + 1], found[0], text[at : at + 1]):
            cuts.append(at)
    parts = zip(cuts, [*cuts[1:], len(text)], strict=True)
    return [(start, end) for start, end in parts if text[start:end].strip()]


def _ends(before: str, mark: str, after: str) -> bool:
    """Return whether a mark ends a sentence, by what stands before and after it."""
    if mark[0] not in ".!?":
        return True
    return not after.islower() and not (mark[0] == "." and SHORT.search(before))
