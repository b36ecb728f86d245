"""The right one of several choices, of which each row has its own: reading tests, endings, causes.

One row, of a text with a question::

    {"text": "The pump ran dry and stopped.", "question": "Why did it stop?",
     "choices": ["It had no water.", "It was old.", "Nobody knows."], "label": "0"}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.config.section import Lower, Section, Values
from mtl.data.choices import FORMS, form_of, not_a, readings, texts_of, written
from mtl.data.rows import Role, remark
from mtl.errors import DataError, Mismatch, Problem
from mtl.heads.base import Head
from mtl.heads.choice import ChoiceHead, shares
from mtl.metrics.choices import ChoiceScores
from mtl.tasks._pairs import check_layout, encode_beside, given, has, layout_of, pooled_by
from mtl.tasks._passages import Averaged, Join
from mtl.tasks.base import TASK_TYPES, Guess, HeadOptions, Learned, ResultClass, Task
from mtl.tasks.results import Result
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Array, Encoded, Examples, Row

QUESTION = Role("question", "text", required=False, help="a question, read before each choice")


class ChoiceOptions(Section):
    """Options of `multiple_choice`."""

    label: Annotated[Literal["auto", "name", "text", "letter", "0", "1"], Lower] = "auto"
    """How a label says which choice is right: by its ``name`` or its ``text``, by a ``letter``, or
    by a number counted from ``0`` or ``1``; ``auto`` finds it in training."""
    layout: Annotated[Literal["auto", "joint", "branch"], Lower] = "auto"
    """``joint``: each choice after a text of its own, as the tokenizer joins pairs; ``branch``: the
    text is encoded once for all its choices; ``auto`` is branch on decoders, else joint."""


class ChoiceHeadOptions(HeadOptions):
    """Options of the head."""

    pooling: Annotated[Literal["auto", "first", "last", "mean"], Lower] = "auto"
    """Which states are averaged, of text and choice or of the branch: ``first``, ``last`` or all
    (``mean``); ``auto`` is the last in a branch and under causal attention, and all otherwise."""


class ChoiceLearned(Learned):
    """How training says which choice is right, and whether there are questions."""

    form: Literal["name", "text", "letter", "0", "1"] = "0"
    question: bool = False

    @property
    def wants(self) -> tuple[str, ...]:
        """The question, where training had one."""
        return ("question",) if self.question else ()


@dataclass(frozen=True, kw_only=True)
class Choice(Result):
    """Which of some choices is right."""

    choice: str
    label: str
    """As the data calls the choice: a letter, a number, its name or its text."""
    probabilities: list[float]
    """One for each choice, in the order of the choices."""


@TASK_TYPES.register("multiple_choice")
class MultipleChoice(Task):
    """Chooses one of a row's choices by the softmax of a linear score of each."""

    Options = ChoiceOptions
    HeadOptions = ChoiceHeadOptions
    learns = ChoiceLearned
    metric_names = ("accuracy",)
    options: ChoiceOptions
    head_options: ChoiceHeadOptions
    learned: ChoiceLearned

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """A text, perhaps a question, choices, and the right one."""
        return [
            Role("text", "text", help="the text, or the question where there is no other text"),
            QUESTION,
            Role("choices", "choices", help="the choices, in a list or in a column each"),
            Role("label", "choice", help="the right choice: number, letter or text", target=True),
        ]

    def check(self, row: Row) -> Row:
        """Return a row whose label is one of its choices.

        Raises:
            ValueError: If it is none.
        """
        if "label" in row and not readings(row["label"], row["choices"]):
            raise Mismatch(
                f"the number, letter or text of one of {len(row['choices'])} choices for a label",
                f"got '{row['label']}'",
            )
        return row

    def learn(self, rows: Sequence[Row]) -> ChoiceLearned:
        """Find how labels say which choice is right."""
        found = form_of(rows, f"tasks.{self.name}.options.label", self.options.label)
        if isinstance(found, Problem):
            raise DataError(found)
        if self.options.label == "auto" and found.isdecimal():
            text = f"read as {FORMS[found].replace('a number', 'numbers')} (options.label={found})."
            self.counts[remark("label is", "labels are", text, harmless=True)] = len(rows)
        return ChoiceLearned(form=found, question=has(rows, QUESTION, self.name))

    def fits(self, trunk: Trunk) -> None:
        """Refuse a layout that the trunk cannot have, and a state that would say nothing."""
        check_layout(trunk, self.name, self.options.layout, self.head_options.pooling)

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read one output for each choice, from its pooled states beside every window."""
        choices = texts_of(row["choices"])
        lead = f"{given(row, QUESTION, self.name)} " if self.learned.question else ""
        layout = layout_of(self.options.layout, encoder.architecture)
        pooled = pooled_by(self.head_options.pooling, attention, branch=layout == "branch")
        texts = [lead + choice for choice in choices]
        encoded = encode_beside(row, tokens, texts, encoder, layout, pooled, "a choice")
        encoded.inputs = {"sizes": np.asarray([len(choices)], dtype=np.int32)}
        if "label" in row:
            encoded.targets = {"choice": np.asarray([self._number(row)], dtype=np.int32)}
            encoded.mass = 1.0
        return encoded

    def _number(self, row: Row) -> int:
        found = readings(row["label"], row["choices"])
        if self.learned.form not in found:
            raise DataError(not_a(self.learned.form, row, ", as those of training are"))
        return found[self.learned.form]

    def build_head(self, hidden_size: int) -> Head:
        """Return a head with one score for each choice."""
        return ChoiceHead(hidden_size, self.head_options.dropout)

    def decode(self, logits: Tensor, examples: Examples) -> list[Array]:
        """Return the probabilities of each example's choices, (choices,)."""
        found = shares(logits.detach().float().cpu(), examples.sizes)
        return [part.numpy() for part in found]

    def joins(self, row: Row) -> Join:
        """Return what averages over windows, choice by choice."""
        return Averaged(self, row)

    def metrics(self) -> MetricCollection:
        """Return the accuracy."""
        return MetricCollection({"choices": ChoiceScores()}, compute_groups=False)

    def feed(self, outputs: Sequence[Array], examples: Examples) -> Values:
        """Return ``preds`` and ``target``, ``probabilities`` and ``sizes``.

        They are the numbers of chosen and right choices (n,), the probabilities of all choices of
        all rows, and how many each row has (n,).
        """
        target = np.concatenate([example.targets["choice"] for example in examples.encoded])
        return {
            "preds": torch.tensor([int(output.argmax()) for output in outputs]),
            "target": torch.from_numpy(target.astype(np.int64)),
            "probabilities": torch.from_numpy(np.concatenate(outputs)),
            "sizes": torch.tensor([len(output) for output in outputs]),
        }

    def baseline(self, train: Examples) -> Guess:
        """Guess by chance: every choice of a row is as likely as the others."""
        del train
        return lambda examples: [np.full(n, 1 / n, dtype=np.float32) for n in examples.sizes]

    def present(self, output: Array, row: Row) -> Values:
        """Return the choice, the label that the data would have for it, and all probabilities."""
        number = int(output.argmax())
        return {
            "choice": texts_of(row["choices"])[number],
            "label": written(number, row["choices"], self.learned.form),
            "probabilities": [round(float(share), 4) for share in output],
        }

    @property
    def gives(self) -> ResultClass:
        """The right one of some choices."""
        return Choice

    def expected(self, row: Row) -> Values:
        """Return the right choice, its label, and its number."""
        number = self._number(row)
        label = written(number, row["choices"], self.learned.form)
        return {"choice": texts_of(row["choices"])[number], "label": label, "number": number}
