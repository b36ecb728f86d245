"""``AutoModelForSequenceClassification``: a linear layer on one state of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mtl.export.heads.base import HEADS, HeadClass
from mtl.export.samples import Sample

PROBLEMS = {"one": "single_label_classification", "any": "multi_label_classification"}
BY_TOKEN = (
    "Use `--as token_classification`, whose logits averaged over the same tokens are these; or "
    "`--format onnx`; "
)
USAGE = """\
```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForSequenceClassification.from_pretrained("{name}").eval()
with torch.inference_mode():
    logits = model(**tokenizer("It was lovely.", return_tensors="pt")).logits[0]
```
"""


@HEADS.register("text_classification")
class TextHead(HeadClass):
    """Where the class reads the very state that ours does: a decoder's last token, mostly."""

    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"
    usage = USAGE

    def check_reads(self, asked: Sequence[Sample]) -> None:
        """Refuse an average of states, which none of these classes that are linear reads."""
        super().check_reads(asked)
        if any(len(one.example.offset) > 1 for one in asked):
            key = f"tasks.{self.task.name}.head"
            raise self.refuse(
                "it reads the mean of a text's states, and these classes read one state",
                f"{BY_TOKEN}or train a decoder with `{key}.pooling=last {key}.bias=false`.",
            )

    def config(self, tokenizer: Any) -> Any:
        """Return the configuration, which says what kind of labels they are."""
        config = super().config(tokenizer)
        config.problem_type = PROBLEMS.get(self.head.chooses or "", "regression")
        return config

    def labels(self) -> list[str] | None:
        """Return the labels that were learned; one name for a number."""
        found: list[str] | None = getattr(self.task.learned, "labels", None)
        return found or [self.task.name]

    def without_bias(self) -> str:
        """Return how a head is trained that needs none."""
        return f"{BY_TOKEN}or train with `tasks.{self.task.name}.head.bias=false`."

    def at(self, logits: Tensor, one: Sample) -> Tensor:
        """Return the logits of the text."""
        del one
        return logits[None]
