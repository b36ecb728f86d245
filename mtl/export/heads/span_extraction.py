"""``AutoModelForQuestionAnswering``: a start and an end logit for every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl.export.heads.base import HEADS, HeadClass
from mtl.export.samples import Sample

USAGE = """\
```python
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForQuestionAnswering.from_pretrained("{name}").eval()
with torch.inference_mode():
    found = model(**tokenizer("Who left?", "Ines Talbot left.", return_tensors="pt"))
starts, ends = found.start_logits[0], found.end_logits[0]
```

"The answer is not here" is the null place: the first token under bidirectional attention, the last
one under causal attention."""


@HEADS.register("span_extraction")
class AnswerHead(HeadClass):
    """For the joint layout, in which question and document are one text."""

    auto = "AutoModelForQuestionAnswering"
    pipeline = "question-answering"
    usage = USAGE
    pair = True

    def inputs(self, tokenizer: Any, rows: Sequence[Any]) -> Any:
        """Return questions and their documents, joined as pairs."""
        questions = [row["question"] for row in rows]
        texts = [row["text"] for row in rows]
        padding = {"padding": len(rows) > 1, "padding_side": "right"}
        return tokenizer(questions, texts, return_tensors="pt", **padding)

    def outputs(self, given: Any) -> Tensor:
        """Return start and end logits beside each other."""
        return torch.stack([given.start_logits, given.end_logits], dim=-1)

    def at(self, logits: Tensor, one: Sample) -> Tensor:
        """Return those of the null place and of the document's tokens."""
        return logits[torch.from_numpy(one.example.offset).long()]
