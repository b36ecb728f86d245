"""Labels and numbers of texts, and labels of words."""

from __future__ import annotations

from collections.abc import Iterable

from mtl.reporting.mistakes.base import (
    COMPARISONS,
    Block,
    Judged,
    Piece,
    Values,
    given_blocks,
)


class OneLabel:
    """One label of several; the surer a wrong answer is, the worse it is."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return one less the probability of the right label."""
        right, found = str(expected["label"]), answer["label"]
        if found == right:
            return Judged(0.0)
        likely = answer.get("probabilities", {}).get(right, 0.0)
        kind = f"{right} as {found}" if found is not None else f"{right}: no label given"
        return Judged(max(1.0 - likely, 0.01), [kind])

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the texts, the right label and the model's, with its probability."""
        found, right = answer["label"], str(expected["label"])
        likely = answer.get("probabilities", {})
        sure = f" ({likely[found]:.2f})" if found in likely else ""
        mark = "right" if found == right else "found"
        given_label = "no label" if found is None else f"{found}{sure}"
        return [
            *given_blocks(given),
            Block("right", [Piece(right, "right" if found == right else "missed")]),
            Block("model", [Piece(given_label, mark)]),
        ]


class SeveralLabels:
    """Any number of labels."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return the share of the labels of either side that only one has."""
        right, found = _right(expected), set(map(str, answer["labels"]))
        kinds = [*(f"missed {n}" for n in sorted(right - found))]
        kinds += [f"wrongly {n}" for n in sorted(found - right)]
        return Judged(len(right ^ found) / max(len(right | found), 1), kinds)

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the texts and the labels of both sides."""
        right, found = _right(expected), set(map(str, answer["labels"]))
        return [
            *given_blocks(given),
            Block("right", _listed(right, found, "missed")),
            Block("model", _listed(found, right, "found")),
        ]


def _right(expected: Values) -> set[str]:
    given = expected["label"] if "label" in expected else expected["labels"]
    return set(map(str, given if isinstance(given, list) else [given]))


def _listed(own: Iterable[str], other: Iterable[str], mark: str) -> list[Piece]:
    found = [Piece(name, "right" if name in other else mark) for name in sorted(own)]
    return [p for one in found for p in (one, Piece(" "))] or [Piece("none")]


class Number:
    """A number."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return how far off it is, on a scale that has no end: 1 is never reached."""
        off = float(answer["value"]) - float(expected["label"])
        kinds = ["too high" if off > 0 else "too low"] if off else []
        return Judged(abs(off) / (1 + abs(off)), kinds)

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the texts and both numbers."""
        return [
            *given_blocks(given),
            Block("right", [Piece(f"{float(expected['label']):g}", "missed")]),
            Block("model", [Piece(f"{float(answer['value']):g}", "found")]),
        ]


class Words:
    """A label for each word."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return the share of words with a wrong label."""
        pairs = list(zip(expected["words"], answer["words"], strict=True))
        wrong = [(one["label"], other["label"]) for one, other in pairs if one != other]
        kinds = sorted({f"{right} as {found}" for right, found in wrong})
        return Judged(len(wrong) / max(len(pairs), 1), kinds)

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the words, those with a wrong label marked."""
        pieces: list[Piece] = []
        for right, found in zip(expected["words"], answer["words"], strict=True):
            same = right["label"] == found["label"]
            label = "" if same else f"{right['label']} as {found['label']}"
            pieces += [Piece(right["text"], "" if same else "found", label), Piece(" ")]
        rest = given_blocks(given, "text", "tokens")
        return [*rest, Block("model", pieces[: 2 * LONGEST_WORDS])]


LONGEST_WORDS = 400
"""Words that are shown."""

COMPARISONS.register("label")(OneLabel())
COMPARISONS.register("labels")(SeveralLabels())
COMPARISONS.register("value")(Number())
COMPARISONS.register("words")(Words())
