"""``AutoModelForCausalLM``: the trunk with its output layer, or a task's own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtl.export.heads.base import HEADS, HeadClass
from mtl.export.samples import Sample, states_of
from mtl.trunk.generate import Decoding, configuration

USAGE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}").eval()
given = tokenizer("The council met.{prompt}", return_tensors="pt")
print(tokenizer.decode(model.generate(**given)[0]))
```

What stands between a text and what is written is `{shown}`."""


@HEADS.register("language_modeling")
class LanguageModel(HeadClass):
    """For decoders that read from left to right."""

    auto = "AutoModelForCausalLM"
    pipeline: str | None = "text-generation"

    @property
    def usage(self) -> str:  # type: ignore[override]
        """How it is used, with the task's prompt."""
        prompt = str(getattr(self.task.options, "prompt", ""))
        return USAGE.replace("{prompt}", repr(prompt)[1:-1]).replace("{shown}", repr(prompt))

    def check(self) -> None:
        """Refuse what is no language model of transformers'."""
        if self.trunk.architecture != "decoder":
            raise self.refuse(f"its trunk is an {self.trunk.architecture}", "Use `--format hub`.")
        if self.trunk.attention == "bidirectional":
            reason = "its documents see all of themselves, which a causal model's cannot"
            raise self.refuse(reason, "Use `--format hub`.")

    def write(self, folder: Path) -> None:
        """Write the language model, and see that it has our logits."""
        self.check()
        from mtl.export.tokenizing import our_tokenizer
        from mtl.trunk.load import quiet

        tokenizer = our_tokenizer(self.source.loaded)
        with quiet():
            self.build(tokenizer).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        self.compare(folder, [])

    def build(self, tokenizer: Any) -> Any:
        """Return the trunk's own language model, with the head's layer where it has one."""
        assert self.trunk.output is not None
        model = copy.deepcopy(self.trunk.output.model)
        model.config.pad_token_id = tokenizer.pad_token_id
        own: nn.Linear | None = self.head.linear  # type: ignore[assignment]
        if own is not None:
            if model.get_output_embeddings().bias is not None:
                raise self.refuse("the class adds a bias to the scores of tokens")
            model.config.tie_word_embeddings = False
            model.set_output_embeddings(copy.deepcopy(own))
        if isinstance(self.task.options, Decoding):
            model.generation_config = configuration(self.trunk, self.task.options)
        return model

    def compare(self, folder: Path, asked: Sequence[Sample]) -> None:
        """Compare the scores of all tokens behind each token of some texts."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from mtl.export.samples import TEXTS

        del asked
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = self.source.loaded.encoder
        for text, tokens in zip(TEXTS, encoder.tokenize(TEXTS), strict=True):
            if len(tokens) > encoder.room:
                continue
            ids = encoder.document(tokens, (0, len(tokens)))
            given = tokenizer(text, return_tensors="pt")
            if given["input_ids"][0].tolist() != ids.tolist():
                raise self.refuse("its tokenizer cannot be told to read texts as ours does")
            with torch.inference_mode():
                found = model(**given).logits[0]
                assert self.trunk.output is not None
                wanted = self.trunk.output(states_of(self.trunk, ids), self.head.linear)  # type: ignore[arg-type]
            self.near(found, wanted, text)

    def at(self, logits: Tensor, one: Sample) -> Tensor:
        """Return them as they are."""
        del one
        return logits
