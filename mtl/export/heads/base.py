"""What single heads share: a model of transformers' with our weights, compared before it is kept.

A head is one linear layer on the trunk's states. Where transformers' class for an architecture is
that, too, reading the same states, the weights are copied; where it is not, it is refused. Then the
folder is opened as its users would, and must give the logits that our model gives.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl.errors import ConfigError
from mtl.export.base import Source, refused
from mtl.export.samples import Sample, samples
from mtl.export.tokenizing import our_tokenizer
from mtl.heads.base import Head
from mtl.registry import Registry
from mtl.tasks import Task
from mtl.trunk.load import quiet

WHERE = "--format transformers"
TOLERANCE = 1e-5
"""Largest difference of logits, for each unit of the largest."""
ELSE = "Use `--format hub`, which mtl.load opens, or `--format onnx`."


class HeadClass(ABC):
    """One of transformers' classes for a head.

    Args:
        source: The model.
        task: Whose head it becomes.
    """

    auto: ClassVar[str]
    """transformers' class that opens it."""
    pipeline: str | None
    """The Hub's name of what it does."""
    usage: ClassVar[str]

    def __init__(self, source: Source, task: Task) -> None:
        self.source = source
        self.task = task
        self.trunk = source.loaded.model.trunk
        self.head: Head = source.loaded.model.head(task.name)

    def refuse(self, reason: str, advice: str = ELSE) -> ConfigError:
        """Return the error of a head that the class cannot hold."""
        expected = f"to be for heads that {self.auto} has"
        return refused(
            WHERE, expected, f"that of task '{self.task.name}' is none: {reason}", advice
        )

    def write(self, folder: Path) -> None:
        """Write the model and its tokenizer, and see that they say what ours says.

        Raises:
            ConfigError: If transformers has no such head, with the reason.
        """
        asked = samples(self.source.loaded, self.task)
        self.check_reads(asked)
        self.check()
        tokenizer = our_tokenizer(self.source.loaded, self.task.name if self.pair else None)
        with quiet():
            model = self.build(tokenizer)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            self.compare(folder, asked)

    pair: ClassVar[bool] = False
    """Whether it reads two texts, as the tokenizer joins pairs."""

    def check(self) -> None:
        """Refuse a head that is more than a linear layer on the last layer's states.

        Raises:
            ConfigError: With what it is.
        """
        head, kind = self.head, type(self.head)
        if getattr(head, "selection", None) is not None:
            raise self.refuse("it reads inner layers of the trunk (head.layer, head.layer_mix)")
        if kind.settled is not Head.settled:
            raise self.refuse("its labels depend on each other (head.decoding=crf)")
        if not isinstance(getattr(head, "linear", None), nn.Linear):
            raise self.refuse("it is more than one linear layer on the states of a text")

    def check_reads(self, asked: Sequence[Sample]) -> None:
        """Refuse a task that does not read one document for each text.

        Raises:
            ConfigError: With how it reads.
        """
        for one in asked:
            if one.example.branches:
                layout = "Train it with `options.layout=joint`, where it has that, or use another "
                advice = f"{layout}format: hub."
                raise self.refuse("it reads a second text as a branch of the first", advice)
            if len(one.example.documents) != 1:
                raise self.refuse("it reads several texts for each answer")

    def build(self, tokenizer: Any) -> Any:
        """Return the model of transformers' with our weights."""
        import transformers

        config = self.config(tokenizer)
        try:
            model = getattr(transformers, self.auto).from_config(config).eval().float()
        except ValueError as error:
            kind = self.trunk.config.model_type
            raise self.refuse(f"transformers has no such class for {kind} models") from error
        own = self.trunk.model.state_dict()
        body = model.base_model
        result = body.load_state_dict(own, strict=False)
        missing = sorted(n for n in result.missing_keys if not n.startswith("decoder."))
        if missing:
            raise self.refuse(
                f"{type(model).__name__} reads through weights that ours has not ({missing[0]})"
            )
        self.fill(model, {id(p) for p in body.parameters()})
        return model

    def config(self, tokenizer: Any) -> Any:
        """Return the configuration."""
        config = copy.deepcopy(self.trunk.config)
        config.architectures = None
        config.pad_token_id = tokenizer.pad_token_id
        if self.trunk.architecture == "decoder" and self.trunk.attention == "bidirectional":
            config.is_causal = False
        labels = self.labels()
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: number for number, label in enumerate(labels)}
        return config

    def labels(self) -> list[str] | None:
        """Return the names of the outputs."""
        return None

    def fill(self, model: Any, body: set[int]) -> None:
        """Copy the head's linear layer into the only one that the class adds.

        Args:
            model: The class's.
            body: Ids of the parameters that are the trunk's.
        """
        added = {name: p for name, p in model.named_parameters() if id(p) not in body}
        layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
        ours: nn.Linear = self.head.linear  # type: ignore[assignment]
        for name, layer in layers.items():
            inside = {f"{name}.{n}" for n, _ in layer.named_parameters()}
            if inside == set(added) and layer.weight.shape == ours.weight.shape:
                self._copy(ours, layer, type(model).__name__)
                return
        more = ", ".join(sorted(added))
        raise self.refuse(
            f"{type(model).__name__} has more between the trunk and its labels than one linear "
            f"layer ({more})"
        )

    def _copy(self, ours: nn.Linear, theirs: nn.Linear, name: str) -> None:
        with torch.no_grad():
            theirs.weight.copy_(ours.weight)
            if theirs.bias is not None:
                theirs.bias.zero_() if ours.bias is None else theirs.bias.copy_(ours.bias)
            elif ours.bias is not None and bool(ours.bias.any()):
                raise self.refuse(f"{name} has no bias", self.without_bias())

    def without_bias(self) -> str:
        """Return what to do about a bias that has no place."""
        return ELSE

    def compare(self, folder: Path, asked: Sequence[Sample]) -> None:
        """Open a folder as its users do, and compare logits, each text alone and all at once.

        Raises:
            ConfigError: If they differ.
        """
        import transformers

        model = getattr(transformers, self.auto).from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        rows = [one.row for one in asked]
        batches = [[number] for number in range(len(rows))]
        if tokenizer.pad_token_id is not None:
            batches.append(list(range(len(rows))))
        for numbers in batches:
            given = self.inputs(tokenizer, [rows[n] for n in numbers])
            with torch.inference_mode():
                found = self.outputs(model(**given))
            for place, number in enumerate(numbers):
                one = asked[number]
                ids = given["input_ids"][place][given["attention_mask"][place].bool()].tolist()
                if ids != one.ids.tolist():
                    raise self.refuse("its tokenizer cannot be told to read texts as ours does")
                self.near(self.at(found[place], one), one.logits, one.row["text"])

    def near(self, found: Tensor, wanted: Tensor, text: object) -> None:
        """Refuse logits that are not ours.

        Raises:
            ConfigError: If they are further apart than :data:`TOLERANCE`.
        """
        far = float((found - wanted).abs().max()) if found.shape == wanted.shape else None
        # Numbers that are none are not near to anything.
        if far is None or not far <= TOLERANCE * max(1.0, float(wanted.abs().max())):
            shown = "of another shape" if far is None else f"{far:.2g} apart"
            raise self.refuse(f"of '{text}' its logits are {shown}")

    def inputs(self, tokenizer: Any, rows: Sequence[Any]) -> Any:
        """Return what the model is given for some rows, as its users make it."""
        texts = [row["text"] for row in rows]
        return tokenizer(texts, return_tensors="pt", padding=len(rows) > 1, padding_side="right")

    def outputs(self, given: Any) -> Tensor:
        """Return the logits of what the model returned, a text each along the first axis."""
        found: Tensor = given.logits
        return found

    @abstractmethod
    def at(self, logits: Tensor, one: Sample) -> Tensor:
        """Return (G, C) logits of one text where our head has them.

        Args:
            logits: What the class says of the text.
            one: What is read of it.
        """


HEADS: Registry[Callable[[Source, Task], HeadClass]] = Registry("--as", "mtl.export_heads")
"""By the type of task whose head it is: a class, or a function that chooses one."""
