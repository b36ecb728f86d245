"""``AutoModelForSeq2SeqLM``: an encoder-decoder with its output layer, or a task's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mtl.export.base import Source
from mtl.export.heads.base import HEADS, HeadClass
from mtl.export.heads.language import LanguageModel
from mtl.export.samples import TARGETS, TEXTS, Sample
from mtl.export.tokenizing import our_tokenizer
from mtl.inference.rows import prepare
from mtl.layout import Unit, build_rows
from mtl.tasks import Task
from mtl.tasks.generation import GenerationOptions
from mtl.trunk.load import quiet
from mtl.trunk.text import pad_id
from mtl.types import Encoded

USAGE = """\
```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForSeq2SeqLM.from_pretrained("{name}").eval()
given = tokenizer("The council met.", return_tensors="pt")
print(tokenizer.decode(model.generate(**given)[0], skip_special_tokens=True))
```
"""
PROMPT = """
The tokenizer puts the prompt `{shown}` before each text: give it the text alone."""


@HEADS.register("generation")
def writer(source: Source, task: Task) -> HeadClass:
    """Return the class for a task that writes, by what its trunk is."""
    two = source.loaded.model.trunk.architecture == "encoder-decoder"
    return (Seq2Seq if two else LanguageModel)(source, task)


class Seq2Seq(LanguageModel):
    """For encoder-decoders, which read a text with the encoder and write with the decoder."""

    auto = "AutoModelForSeq2SeqLM"

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        assert isinstance(task.options, GenerationOptions)
        self.options = task.options
        by_scoring = {"rouge": "summarization", "bleu": "translation"}
        self.pipeline = by_scoring.get(self.options.scoring)

    @property
    def usage(self) -> str:  # type: ignore[override]
        """How it is used, and that the prompt is in the tokenizer."""
        prompt = self.options.prompt
        return USAGE + (PROMPT.replace("{shown}", repr(prompt)) if prompt.strip() else "")

    def check(self) -> None:
        """Refuse a prompt that is another one for each text."""
        if asked := [role.name for role in self.task.roles(self.options)[2:] if role.required]:
            reason = f"its prompt asks for each text's {asked[0]}"
            raise self.refuse(reason, "Use `--format hub`.")

    def write(self, folder: Path) -> None:
        """Write the model, and see that it has our logits."""
        self.check()
        encoder = self.source.loaded.encoder
        tokenizer = our_tokenizer(self.source.loaded, before=encoder.plain(self.options.prompt))
        with quiet():
            model = self.build(tokenizer)
            model.config.decoder_start_token_id = self.trunk.start
            model.generation_config.no_repeat_ngram_size = self.options.no_repeat_ngram_size
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        self.compare(folder, [])

    def compare(self, folder: Path, asked: Sequence[Sample]) -> None:
        """Compare the scores behind each token that is written, each text alone and all at once."""
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        del asked
        with quiet():
            model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = self._examples()
        for batch in [*([text] for text in rows), list(rows)]:
            given = tokenizer(batch, return_tensors="pt", padding=True)
            begun = [torch.from_numpy(rows[text].branches[0].ids).long() for text in batch]
            fed = pad_sequence(begun, batch_first=True, padding_value=tokenizer.pad_token_id)
            with torch.inference_mode():
                found = model(**given, decoder_input_ids=fed).logits
            for place, text in enumerate(batch):
                ids = given["input_ids"][place][given["attention_mask"][place].bool()]
                if ids.tolist() != rows[text].documents[0].tolist():
                    raise self.refuse("its tokenizer cannot be told to read texts as ours does")
                self.near(found[place][: len(begun[place])], self._logits(rows[text]), text)

    def _examples(self) -> dict[str, Encoded]:
        """Return made-up texts, each with the beginning of what is written."""
        loaded = self.source.loaded
        encoded = {}
        for text, tokens in zip(TEXTS, loaded.encoder.tokenize(TEXTS), strict=True):
            if len(tokens) <= loaded.encoder.room // 2:
                row = prepare({"text": text, **TARGETS}, 1)
                attention = loaded.attention(self.task.name)
                encoded[text] = self.task.encode(row, tokens, loaded.encoder, attention)
        return encoded

    def _logits(self, example: Encoded) -> Tensor:
        """Return our (L, V) logits behind the tokens that the decoder is given."""
        (document,), (branch,) = example.documents, example.branches
        both = self.source.loaded.attention(self.task.name) == "bidirectional"
        unit, pad = Unit(document, [branch.ids]), pad_id(self.trunk.tokenizer)
        layout = build_rows([[unit]], pad, bidirectional=both)
        with torch.inference_mode():
            states = self.trunk(layout.batch)
            places = np.arange(len(document), len(document) + len(branch.ids))
            found: Tensor = self.head(states[torch.from_numpy(places)])
        return found
