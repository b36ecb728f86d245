"""A second, different reading of `conlleval`: the script's streaming state machine.

The package compares sets of chunks; the script walks both columns at once and remembers whether it
is inside a chunk on which both agree so far. Restated here for B, I and O.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

Half = tuple[str, str]


def ends(before: Half, now: Half) -> bool:
    return before[0] != "O" and (now[0] in "BO" or before[1] != now[1])


def starts(before: Half, now: Half) -> bool:
    return now[0] != "O" and (now[0] == "B" or before[0] == "O" or before[1] != now[1])


def split(label: str) -> Half:
    tag, _, kind = label.partition("-")
    return tag, kind


def score(
    predicted: Iterable[Sequence[str]], gold: Iterable[Sequence[str]]
) -> dict[str, tuple[int, int, int]]:
    """Return each type's (correct, predicted, gold) chunks."""
    correct: Counter[str] = Counter()
    found_guess: Counter[str] = Counter()
    found_gold: Counter[str] = Counter()
    last_gold = last_guess = ("O", "")
    agree = False
    stream = []
    for guess, truth in zip(predicted, gold, strict=True):
        stream += [(split(g), split(t)) for g, t in zip(guess, truth, strict=True)]
        stream.append((("O", ""), ("O", "")))
    for guess_tag, gold_tag in stream:
        if agree:
            gold_ends, guess_ends = ends(last_gold, gold_tag), ends(last_guess, guess_tag)
            if gold_ends and guess_ends and last_gold[1] == last_guess[1]:
                agree = False
                correct[last_gold[1]] += 1
            elif gold_ends != guess_ends or gold_tag[1] != guess_tag[1]:
                agree = False
        gold_starts, guess_starts = starts(last_gold, gold_tag), starts(last_guess, guess_tag)
        if gold_starts and guess_starts and gold_tag[1] == guess_tag[1]:
            agree = True
        found_gold[gold_tag[1]] += gold_starts
        found_guess[guess_tag[1]] += guess_starts
        last_gold, last_guess = gold_tag, guess_tag
    kinds = sorted({k for k, n in (found_gold + found_guess).items() if n})
    return {k: (correct[k], found_guess[k], found_gold[k]) for k in kinds}
