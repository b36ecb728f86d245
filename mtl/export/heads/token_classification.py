"""``AutoModelForTokenClassification``: a linear layer on every token."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl.export.heads.base import HEADS, HeadClass
from mtl.export.samples import Sample

USAGE = """\
```python
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForTokenClassification.from_pretrained("{name}").eval()
given = tokenizer("Ines Talbot left Brackwater.", return_tensors="pt", return_offsets_mapping=True)
offsets = given.pop("offset_mapping")[0].tolist()
with torch.inference_mode():
    logits = model(**given).logits[0]  # a row for every token
```
"""


@HEADS.register("token_classification")
class TokenHead(HeadClass):
    """Also holds heads that average states: the mean of logits is the logits of the mean."""

    auto = "AutoModelForTokenClassification"
    pipeline = "token-classification"
    usage = USAGE

    def labels(self) -> list[str] | None:
        """Return the labels that were learned."""
        found: list[str] | None = getattr(self.task.learned, "labels", None)
        return found or [self.task.name]

    def at(self, logits: Tensor, one: Sample) -> Tensor:
        """Return the logits of the tokens that speak for a word, or their mean for a text."""
        found = logits[torch.from_numpy(one.example.offset).long()]
        if one.example.group is None:
            return found
        group = torch.from_numpy(one.example.group).long()
        return torch.stack([found[group == n].mean(0) for n in range(one.example.outputs)])
