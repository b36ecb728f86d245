"""A text for a text: a summary, an answer in words, a translation.

One row of the bundled corpus, as summarization reads it::

    {"text": "The library at Hobbs Ferry closed for good on Friday ...",
     "target": ["The library at Hobbs Ferry has closed."]}

A decoder reads the document and, as a branch, a prompt and the text that it learns to write; an
encoder-decoder reads prompt and document with its encoder and writes with its decoder.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection

from mtl.config.section import Blank, Field, Lower, Text, Values, Whole
from mtl.data.rows import Role, remark
from mtl.errors import ConfigError, Problem
from mtl.heads.base import Head
from mtl.heads.language import LanguageHead
from mtl.metrics.scores import PerplexityScore, TextScores
from mtl.metrics.segments import AUTO, by_character
from mtl.metrics.texts import SCORINGS
from mtl.metrics.tokenizers import check_installed, check_language
from mtl.tasks._language_head import LanguageHeadOptions
from mtl.tasks._passages import Beginning, Join
from mtl.tasks.base import TASK_TYPES, Guess, ResultClass, Task, Traits
from mtl.tasks.results import EXACT, Result
from mtl.trunk.generate import Decoding, Prompt, generate
from mtl.trunk.recall import Recalled
from mtl.trunk.streaming import Pieces
from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk
from mtl.types import Branch, Encoded, Examples, IntArray, Row

ASKED = ("question", "instruction")
"""What a prompt may name in braces."""
CHARACTERS = remark(
    "target is",
    "targets are",
    "in a script without spaces: scores compare their characters (options.language).",
    harmless=True,
)
LEAST = 8
"""Positions that are left for document and prompt, special tokens included."""
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n+")


class GenerationOptions(Decoding):
    """Options of `generation`: how texts are asked for, written and scored."""

    prompt: Blank = "\n\n"
    """What stands between document and text; may hold ``{question}`` and ``{instruction}``. An
    encoder-decoder reads it before the document."""
    scoring: Annotated[Literal["rouge", "answers", "bleu"], Lower] = "rouge"
    """``rouge`` (summaries), ``answers`` (SQuAD's F1 and exact match) or ``bleu``."""
    language: Annotated[Text, Lower] = AUTO
    """Of the texts, as a code: ``zh``, ``ja``, ``th`` and others without spaces between words are
    compared by character; ``auto`` looks at each right text. Or a tokenizer's name, such as
    ``ja-mecab``."""
    max_target_tokens: Whole = Field(128, ge=1)
    """Longer targets are cut in training, and counted."""
    validation_examples: Whole | None = Field(64, ge=1)
    """For how many examples, spread evenly, validation during training writes texts; all when
    null. Losses are of all examples, and so are test scores."""
    seed: Whole = Field(0, ge=0)
    """When sampling: what is drawn follows from it and from what is read; another one, other
    texts."""


class Written(NamedTuple):
    """One output: what the right text cost, or the texts that were written."""

    nats: float = 0.0
    """Summed negative log-likelihood of the target's tokens."""
    tokens: int = 0
    texts: tuple[tuple[str, float | None], ...] = ()
    """Texts, the best first, each with its beam's score."""


@dataclass(frozen=True)
class ScoredText:
    """One of several texts; of beams, with its score."""

    __pydantic_config__ = EXACT

    text: str
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class WrittenText(Result):
    """The text that was written."""

    text: str
    texts: tuple[ScoredText, ...] = ()
    """All of them, the best first, where there are several or they have scores."""


@TASK_TYPES.register("generation")
class Generation(Task):
    """Writes a text, token by token, with the trunk's language-modeling head."""

    Options = GenerationOptions
    HeadOptions = LanguageHeadOptions
    traits = Traits(writes=True, lower_is_better=frozenset({"perplexity"}))
    metric_names: tuple[str, ...] = (
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
    options: GenerationOptions
    head_options: LanguageHeadOptions

    def __init__(self, name: str, options: GenerationOptions, *args: Any) -> None:
        where = f"tasks.{name}.options"
        self.metric_names = (*SCORINGS.get(options.scoring).names, "perplexity")
        _asked(options.prompt, f"{where}.prompt")
        check_language(options.language, f"{where}.language")
        if options.num_return_sequences > options.num_beams and not options.do_sample:
            expected = f"to be at most num_beams ({options.num_beams}), or do_sample to be true"
            got = f"got {options.num_return_sequences}"
            raise ConfigError(Problem(f"{where}.num_return_sequences", expected, got))
        super().__init__(name, options, *args)

    @classmethod
    def roles(cls, options: Any = None) -> list[Role]:
        """A text, one or more right texts, and what the prompt may ask, required if it does."""
        named = _asked(options.prompt, "prompt") if options is not None else set()
        roles = [
            Role("text", "text", help="the document"),
            Role("target", "texts", help="the right text, or several", target=True),
            Role("question", "text", required=False, help="for {question} in the prompt"),
            Role("instruction", "text", required=False, help="for {instruction} in the prompt"),
        ]
        return [replace(r, required=r.required or r.name in named) for r in roles]

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

    def encode(self, row: Row, tokens: Tokens, encoder: TextEncoder, attention: str) -> Encoded:
        """Read the states from which each token of the target is predicted, its end included."""
        two = encoder.architecture == "encoder-decoder"
        prompt = self._prompt(row, encoder)
        if attention == "bidirectional" and not (two or len(prompt)):
            expected = "to have at least one token, because its documents see all of themselves"
            where, got = f"tasks.{self.name}.options.prompt", f"got {self.options.prompt!r}"
            raise ConfigError(Problem(where, expected, got))
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
        self.counts[_cut("prompt", "half of what the trunk reads at once, cut at the end.")] += (
            len(ids) > most
        )
        return ids[:most]

    def _target(self, row: Row, encoder: TextEncoder) -> IntArray | None:
        if "target" not in row:
            return None
        text = row["target"][0]
        self.counts[CHARACTERS] += by_character(row["target"], self.options.language)
        ids = encoder.tokenize([text])[0].ids if text.strip() else np.zeros(0, dtype=np.int32)
        most = self.options.max_target_tokens
        limit = f"options.max_target_tokens={most}, cut there."
        self.counts[_cut("target", limit)] += len(ids) > most
        return ids[:most]

    def _document(
        self, tokens: Tokens, encoder: TextEncoder, prompt: IntArray, two: bool
    ) -> IntArray:
        """Return the document, cut to leave room for the prompt, and for the text beside it."""
        after = len(prompt) + self.longest
        room = encoder.room_beside(len(prompt)) if two else encoder.room_before(after)
        limit = "the trunk reads at once, cut at the end; see trunk.max_length."
        self.counts[_cut("document", limit)] += len(tokens) > room
        ids = tokens.ids[:room]
        if two:
            ids = np.concatenate([prompt, ids])
        return np.concatenate([encoder.prefix, ids, encoder.suffix])

    def build_head(self, hidden_size: int) -> Head:
        """Return a head over the trunk's vocabulary."""
        return self.head_options.build(LanguageHead, hidden_size, self.name)

    def decode(self, logits: Tensor, examples: Examples) -> list[Written]:
        """Return what each target cost."""
        labels = np.concatenate([e.targets["labels"] for e in examples.encoded])
        target = torch.from_numpy(labels.astype(np.int64)).to(logits.device)
        nats = F.cross_entropy(logits.detach().float(), target, reduction="none")
        return [Written(float(p.sum()), len(p)) for p in torch.split(nats, examples.sizes)]

    def writer(self) -> Writing:
        """Return what writes texts as the options say."""
        return Writing(self.options)

    def joins(self, row: Row) -> Join:
        """Return what is written after the beginning, where documents are cut."""
        return Beginning(self, row)

    def metrics(self) -> MetricCollection:
        """Return the scoring's scores, and perplexity, which only targets that were read have."""
        language = self.options.language
        check_installed(language, f"tasks.{self.name}.options.language")
        scoring = SCORINGS.get(self.options.scoring)()
        scoring.language = language
        texts = TextScores(scoring)
        found = {"texts": texts, "perplexity": PerplexityScore()}
        return MetricCollection(found, compute_groups=False)

    def feed(self, outputs: Sequence[Written], examples: Examples) -> Values:
        """Return ``preds`` and ``target`` where texts were written, else ``nats`` and ``tokens``.

        They are texts, a list of right texts each; what the right texts cost, and how many tokens
        they have.
        """
        if outputs and outputs[0].texts:
            preds = [output.texts[0][0] for output in outputs]
            return {"preds": preds, "target": [row["target"] for row in examples.rows]}
        return {"nats": sum(o.nats for o in outputs), "tokens": sum(o.tokens for o in outputs)}

    def baseline(self, train: Examples) -> Guess:
        """Guess as suits the scoring: the first sentence, the commonest answer, the text itself."""
        rule = _GUESSES[self.options.scoring](train.rows)
        return lambda examples: [Written(texts=((rule(row), None),)) for row in examples.rows]

    def present(self, output: Written, row: Row) -> Values:
        """Return the text, and all of them with their scores where there are several."""
        shown: Values = {"text": output.texts[0][0]}
        if len(output.texts) > 1 or output.texts[0][1] is not None:
            shown["texts"] = [
                {"text": text} | ({} if score is None else {"score": round(score, 4)})
                for text, score in output.texts
            ]
        return shown

    @property
    def gives(self) -> ResultClass:
        """A text."""
        return WrittenText


@dataclass(frozen=True)
class Writing:
    """Writes texts for a task that has these options; see :class:`mtl.tasks.base.Writer`."""

    options: GenerationOptions

    @property
    def validation_examples(self) -> int | None:
        """For how many examples a validation during training writes texts; all when None."""
        return self.options.validation_examples

    @property
    def new_tokens(self) -> int:
        """The most tokens of a text."""
        return self.options.max_new_tokens

    def __call__(
        self,
        trunk: Trunk,
        head: Head,
        examples: Sequence[Encoded],
        *,
        bidirectional: bool,
        read: Sequence[Recalled] | None = None,
        pieces: Pieces | None = None,
    ) -> list[Written]:
        """Write texts for examples, all in one batch.

        Where tokens are drawn, each has a batch of its own, so that no text depends on another.
        """
        assert isinstance(head, LanguageHead)
        prompts = [prompt_of(example, bidirectional) for example in examples]
        asked = Decoding(**{name: getattr(self.options, name) for name in Decoding.model_fields})
        size = 1 if asked.do_sample else max(1, len(prompts))
        found = []
        for at in range(0, len(prompts), size):
            part = slice(at, at + size)
            known = None if read is None else read[part]
            told = pieces and shifted(pieces, at)
            found += generate(
                trunk, prompts[part], asked, head.linear, self.options.seed, known, told
            )
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


def shifted(pieces: Pieces, by: int) -> Pieces:
    """Return what tells of the texts of a part, which begins with the text of this number."""
    return lambda number, piece: pieces(by + number, piece)


def _commonest(rows: Sequence[Row]) -> Callable[[Row], str]:
    ((common, _),) = Counter(row["target"][0] for row in rows).most_common(1)
    return lambda row: str(common)


_GUESSES: dict[str, Callable[[Sequence[Row]], Callable[[Row], str]]] = {
    "rouge": lambda rows: lambda row: first_sentence(row["text"]),
    "answers": _commonest,
    "bleu": lambda rows: lambda row: str(row["text"]),
}
"""By scoring: from training rows to a simple rule that writes a text for a row."""


def first_sentence(text: str) -> str:
    """Return a text's first sentence, or its first line if that is shorter."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()


def prompt_of(example: Encoded, bidirectional: bool) -> Prompt:
    """Return what is read before writing: all that stands before the first target."""
    (branch,) = example.branches
    ids = branch.ids
    if len(example.part):
        ids = ids[: int(example.offset[0]) + 1 if example.part[0] else 0]
    return Prompt(example.documents[0], ids, bidirectional)


def _cut(what: str, limit: str) -> str:
    return remark(what, f"{what}s", f"longer than {limit}")


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
