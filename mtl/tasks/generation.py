"""A text for a text: a summary, an answer in words, a translation.

One row of the bundled corpus, as summarization reads it::

    {"text": "The library at Hobbs Ferry closed for good on Friday ...",
     "target": ["The library at Hobbs Ferry has closed."]}

A decoder reads the document and, as a branch, a prompt and the text that it learns to write; an
encoder-decoder reads prompt and document with its encoder and writes with its decoder.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl.data.rows import Role
from mtl.errors import ConfigError
from mtl.heads.base import Head
from mtl.heads.language import LanguageHead
from mtl.tasks._language_head import OWN_OPTIONS, LanguageHeadOptions, language_head
from mtl.tasks._scoring import SCORINGS, GenerationMetrics, Scoring, Written
from mtl.tasks.base import TASK_TYPES, Task, TaskMetrics, Writing
from mtl.trunk.generate import Decoding, Prompt, generate
from mtl.trunk.recall import Recalled
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Branch, Encoded, HeadBatch, IntArray, Row

ASKED = ("question", "instruction")
"""What a prompt may name in braces."""
LEAST = 8
"""Positions that are left for document and prompt, special tokens included."""


@dataclass
class GenerationOptions(Decoding):
    """Options of `generation`: how texts are asked for, written and scored."""

    prompt: str = field(default="\n\n", metadata={"blank": True})
    """What stands between document and text; may hold ``{question}`` and ``{instruction}``. An
    encoder-decoder reads it before the document."""
    scoring: str = field(default="rouge", metadata={"choices": tuple(SCORINGS)})
    """``rouge`` (summaries), ``answers`` (SQuAD's F1 and exact match) or ``bleu``."""
    max_target_tokens: int = field(default=128, metadata={"min": 1})
    """Longer targets are cut in training, and counted."""
    validation_examples: int | None = field(default=64, metadata={"min": 1})
    """For how many examples, spread evenly, validation during training writes texts; all when
    null. Losses are of all examples, and so are test scores."""
    seed: int = field(default=0, metadata={"min": 0})
    """When sampling: what is drawn follows from it and from what is read; another one, other
    texts."""


@TASK_TYPES.register("generation")
class Generation(Task):
    """Writes a text, token by token, with the trunk's language-modeling head."""

    type = "generation"
    Options = GenerationOptions
    HeadOptions = LanguageHeadOptions
    own_options = OWN_OPTIONS
    metric_names = (
        "rougeL",
        "rouge1",
        "rouge2",
        "rougeLsum",
        "f1",
        "em",
        "bleu",
        "chrf",
        "perplexity",
    )
    lower_is_better = frozenset({"perplexity"})
    writes = True

    def __init__(self, name: str, options: Any, head: Any, *args: Any, **kwargs: Any) -> None:
        where = f"tasks.{name}.options"
        self.scoring: type[Scoring] = SCORINGS.get(options.scoring, f"{where}.scoring")
        self.asked = _asked(options.prompt, f"{where}.prompt")
        if options.num_return_sequences > options.num_beams and not options.do_sample:
            raise ConfigError(
                f"Expected `{where}.num_return_sequences` to be at most num_beams "
                f"({options.num_beams}), or do_sample to be true, but got "
                f"{options.num_return_sequences}."
            )
        super().__init__(name, options, head, *args, **kwargs)

    @property
    def own_metrics(self) -> tuple[str, ...]:
        """The scoring's metrics, and perplexity."""
        return (*self.scoring.metric_names, "perplexity")

    @property
    def writing(self) -> Writing:
        """How many texts a validation writes, and how long they may become."""
        return Writing(self.options.validation_examples, self.options.max_new_tokens)

    @classmethod
    def roles(cls) -> list[Role]:
        """A text, what is asked of it, and one or more right texts."""
        return [
            Role("text", "text", help="the document"),
            Role("target", "texts", help="the right text, or several", target=True),
            Role("question", "text", required=False, help="for {question} in the prompt"),
            Role("instruction", "text", required=False, help="for {instruction} in the prompt"),
        ]

    def own_roles(self) -> list[Role]:
        """Return the roles; what the prompt names is required."""
        return [replace(r, required=r.required or r.name in self.asked) for r in self.roles()]

    @property
    def longest(self) -> int:
        """The most tokens that follow a prompt, the end included."""
        return max(self.options.max_target_tokens, self.options.max_new_tokens) + 1

    def fits(self, trunk: Trunk) -> None:
        """Refuse encoders, which cannot write, and texts that a trunk has no positions for."""
        if trunk.output is None:
            raise ConfigError(
                f"Expected the trunk of task '{self.name}' to be a decoder or an encoder-decoder, "
                f"because it writes text, but {trunk.config.model_type} is an "
                f"{trunk.architecture}; leave the task out, or choose another trunk."
            )
        if trunk.architecture == "encoder-decoder" and trunk.start is None:
            raise ConfigError(
                f"Expected the trunk of task '{self.name}' to say with which token its decoder "
                f"starts, but the {trunk.config.model_type} has none; set decoder_start_token_id "
                "in its config.json."
            )
        if trunk.positions is not None and self.longest + LEAST > trunk.positions:
            raise ConfigError(
                f"Expected `tasks.{self.name}.options.max_target_tokens` and `max_new_tokens` to "
                f"be at most {max(1, trunk.positions - LEAST - 1)}, because the trunk has "
                f"{trunk.positions} positions for all that it reads and writes, but got "
                f"{self.longest - 1}."
            )

    def learn(self, rows: Sequence[Row]) -> None:
        """Nothing to learn: the trunk's vocabulary is the label set."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: nothing."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""

    def shared_state(self, others: Sequence[Task]) -> dict[str, Any]:
        """Return what a shared head fixes: nothing. All must write."""
        if not all(task.writes for task in others):
            names = ", ".join(t.name for t in (self, *others))
            raise ConfigError(
                f"Expected the tasks that share head '{self.head_name}' ({names}) to write text, "
                "but one does not; give it another `head.name`."
            )
        return {}

    def remarks(self) -> list[str]:
        """Say how many documents, prompts and targets were cut."""
        cut = {
            "document": "the trunk reads at once, cut at the end; see trunk.max_length.",
            "prompt": "half of what the trunk reads at once, cut at the end.",
            "target": f"options.max_target_tokens={self.options.max_target_tokens}, cut there.",
        }
        return [
            f"tasks.{self.name}: {counted(self.counts[what], what)} longer than {limit}"
            for what, limit in cut.items()
            if self.counts[what]
        ]

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read the states from which each token of the target is predicted, its end included."""
        two = encoder.architecture == "encoder-decoder"
        prompt = self._prompt(row, encoder)
        if attention == "bidirectional" and not (two or len(prompt)):
            raise ConfigError(
                f"Expected `tasks.{self.name}.options.prompt` to have at least one token, because "
                f"its documents see all of themselves, but got {self.options.prompt!r}."
            )
        target = self._target(row, encoder)
        document = self._document(tokens, encoder, prompt, two)
        lead = np.asarray([encoder.start], dtype=np.int32) if two else prompt
        labels = encoder.ending(target) if target is not None else None
        ids = lead if labels is None else np.concatenate([lead, labels[:-1]])
        part, offset = _reads(len(document), len(lead), 0 if labels is None else len(labels))
        return Encoded(
            [document],
            part=part,
            offset=offset,
            targets={} if labels is None else {"labels": labels},
            mass=0.0 if labels is None else float(len(labels)),
            branches=[Branch(0, ids)],
        )

    def _prompt(self, row: Row, encoder: TextEncoder) -> IntArray:
        text = self.options.prompt.format_map({name: row.get(name, "") for name in ASKED})
        ids = encoder.plain(text)
        most = max(1, encoder.room_before(self.longest) // 2)
        self.counts["prompt"] += len(ids) > most
        return ids[:most]

    def _target(self, row: Row, encoder: TextEncoder) -> IntArray | None:
        if "target" not in row:
            return None
        text = row["target"][0]
        ids = encoder.tokenize([text])[0].ids if text.strip() else np.zeros(0, dtype=np.int32)
        most = self.options.max_target_tokens
        self.counts["target"] += len(ids) > most
        return ids[:most]

    def _document(
        self, tokens: Tokens, encoder: TextEncoder, prompt: IntArray, two: bool
    ) -> IntArray:
        """Return the document, cut to leave room for the prompt, and for the text beside it."""
        after = len(prompt) + self.longest
        room = encoder.room_beside(len(prompt)) if two else encoder.room_before(after)
        self.counts["document"] += len(tokens) > room
        ids = tokens.ids[:room]
        if two:
            ids = np.concatenate([prompt, ids])
        return np.concatenate([encoder.prefix, ids, encoder.suffix])

    def build_head(self, hidden_size: int) -> Head:
        """Return a head over the trunk's vocabulary."""
        return language_head(LanguageHead, hidden_size, self.head_options, self.name)

    def decode(self, logits: Tensor, batch: HeadBatch, rows: Sequence[Row]) -> list[Written]:
        """Return what each target cost."""
        nll = F.cross_entropy(logits.detach().float(), batch.targets["labels"], reduction="none")
        return [Written(float(part.sum()), len(part)) for part in torch.split(nll, batch.sizes)]

    def write(
        self,
        trunk: Trunk,
        head: Head,
        examples: Sequence[Encoded],
        *,
        bidirectional: bool,
        read: Sequence[Recalled] | None = None,
    ) -> list[Written]:
        """Write texts for examples, all in one batch."""
        assert isinstance(head, LanguageHead)
        prompts = [prompt_of(example, bidirectional) for example in examples]
        asked = Decoding(**{f.name: getattr(self.options, f.name) for f in fields(Decoding)})
        found = generate(trunk, prompts, asked, head.linear, seed=self.options.seed, read=read)
        tokenizer = trunk.tokenizer
        return [
            Written(
                texts=tuple(
                    (tokenizer.decode(h.ids.tolist(), skip_special_tokens=True).strip(), h.score)
                    for h in hypotheses
                )
            )
            for hypotheses in found
        ]

    def metrics(self) -> TaskMetrics:
        """Return the scoring's scores, and perplexity."""
        return GenerationMetrics(self.scoring())

    def baseline(self, rows: Sequence[Row]) -> Callable[[Row], Written]:
        """Guess as the scoring does: the first sentence, the commonest answer, the text itself."""
        guess = self.scoring.guess(rows)
        return lambda row: Written(texts=((guess(row), None),))

    def present(self, output: Written, row: Row) -> dict[str, Any]:
        """Return the text, and all of them with their scores where there are several."""
        shown: dict[str, Any] = {"text": output.texts[0][0]}
        if len(output.texts) > 1 or output.texts[0][1] is not None:
            shown["texts"] = [
                {"text": text} | ({} if score is None else {"score": round(score, 4)})
                for text, score in output.texts
            ]
        return shown


def prompt_of(example: Encoded, bidirectional: bool) -> Prompt:
    """Return what is read before writing: all that stands before the first target."""
    (branch,) = example.branches
    ids = branch.ids
    if len(example.part):
        ids = ids[: int(example.offset[0]) + 1 if example.part[0] else 0]
    return Prompt(example.documents[0], ids, bidirectional)


def counted(number: int, what: str) -> str:
    """Return a number of things in words: ``1 target``, ``12 targets``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _reads(document: int, lead: int, labels: int) -> tuple[IntArray, IntArray]:
    """Return (part, offset) of the tokens before each label: from the lead's last one on."""
    part = np.ones(labels, dtype=np.int32)
    offset = np.arange(lead - 1, lead - 1 + labels, dtype=np.int32)
    if labels and not lead:
        part[0], offset[0] = 0, document - 1
    return part, offset


def _asked(prompt: str, where: str) -> set[str]:
    """Return what a prompt names in braces.

    Raises:
        ConfigError: If it names something else, or its braces do not match.
    """
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(prompt) if name is not None}
    except ValueError:
        names = {""}
    if wrong := names - set(ASKED):
        raise ConfigError(
            f"Expected `{where}` to hold nothing in braces but {{question}} and {{instruction}}, "
            f"but got {{{min(wrong)}}}; write {{{{ and }}}} for braces."
        )
    return names
