"""One of several choices."""

from __future__ import annotations

from mtl.reporting.mistakes.base import COMPARISONS, Block, Judged, Piece, Values, given_blocks


class Choice:
    """One of a row's own choices; the surer a wrong answer is, the worse it is."""

    def judge(self, answer: Values, expected: Values) -> Judged:
        """Return one less the probability of the right choice."""
        if answer["label"] == expected["label"]:
            return Judged(0.0)
        likely = answer["probabilities"][expected["number"]]
        sure = max(answer["probabilities"])
        return Judged(max(1.0 - likely, 0.01), ["sure and wrong" if sure > 0.9 else "wrong"])

    def show(self, given: Values, answer: Values, expected: Values) -> list[Block]:
        """Return the texts, the right choice and the model's, with its probability."""
        same = answer["label"] == expected["label"]
        sure = f"{answer['choice']} ({max(answer['probabilities']):.2f})"
        return [
            *given_blocks(given),
            Block("right", [Piece(expected["choice"], "right" if same else "missed")]),
            Block("model", [Piece(sure, "right" if same else "found")]),
        ]


COMPARISONS.register("choice")(Choice())
