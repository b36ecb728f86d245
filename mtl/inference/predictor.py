"""All heads of a trained model on rows, in one pass of its trunk.

What goes in and what comes out, for a model of two tasks::

    {"text": "Ines Talbot liked the soup."}

    {"ner": {"entities": [{"text": "Ines Talbot", "label": "PER",
                           "start": 0, "end": 11, "score": 0.97}]},
     "sentiment": {"label": "positive", "probabilities": {"negative": 0.1, "positive": 0.9}}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from mtl.config.section import Values
from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import EvalLoader, Writes
from mtl.data.rows import where
from mtl.data.store import ExampleStore, build_store
from mtl.errors import ConfigError, DataError, Problem, one_of
from mtl.inference.long_texts import Asked, answer_passages, long_text
from mtl.inference.meter import Advance, Meter, Watch
from mtl.inference.questions import ERROR, TASKS, lacking
from mtl.inference.rows import chunks, prepare, without_targets
from mtl.tasks import Task
from mtl.tasks.base import document
from mtl.tasks.results import FAILED
from mtl.training.memory import memory_advice
from mtl.training.model import Answered, Decode, Written, answers
from mtl.training.model_io import LoadedModel, check_head_names, load_model
from mtl.trunk.recall import Recall
from mtl.trunk.text import pad_id
from mtl.types import Encoded, Row

LONGEST = 10_000_000
"""Characters of one text beyond which it is refused by tasks that have to read it at once."""
PER_MILLION = 90
"""Megabytes that a million characters of a text read at once take beside the model."""
USUAL = 4096
"""Tokens in one trunk pass that most devices have room for."""
IN_CACHE = 1024
"""Tokens of a pass for each thread of a CPU: the states of so many stay in its cache."""

HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class RowPredictor:
    """A model on a device.

    Args:
        model: A loaded model, or the folder of a run or a model.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        tokens: Most tokens, padding included, in one trunk pass; when None, what training had, at
            most `USUAL`.
        pack: Whether several short documents may stand in one row.
        precision: As `trainer.precision`; half precision only where the device has it.
        max_characters: Of one text, for tasks that have to read it at once; they do not answer a
            longer one.

    Raises:
        CheckpointError: If the folder holds no model.
        ConfigError: If there is no such device.
    """

    def __init__(
        self,
        model: LoadedModel | str | Path,
        device: str = "auto",
        tokens: int | None = None,
        *,
        pack: bool = True,
        precision: str = "32-true",
        max_characters: int = LONGEST,
    ) -> None:
        self.max_characters = max_characters
        self.device = pick_device(device)
        self.loaded = model if isinstance(model, LoadedModel) else load_model(Path(model))
        self.model = self.loaded.model.to(self.device).eval()
        self.tokens = tokens or min(USUAL, self.loaded.description.tokens or USUAL)
        self.share = pack and self.model.trunk.capabilities.share_rows
        self.half = HALVES.get(precision) if self._has(precision) else None
        self.left_out: Counter[tuple[str, str]] = Counter()
        """By task and role: rows that the task did not answer, because they lack the role."""
        self.failed = 0
        """Answers that are errors, of rows that could be read."""

    def _has(self, precision: str) -> bool:
        if self.device.type == "cuda":
            return precision != "bf16-mixed" or torch.cuda.is_bf16_supported()
        return precision == "bf16-mixed" and self.device.type == "cpu"

    @property
    def tasks(self) -> dict[str, Task]:
        """The model's tasks by name."""
        return self.model.tasks

    def choose(self, names: Sequence[str] | None, where: str = "--task") -> list[str]:
        """Return the tasks to answer, each once: those named, `where`, or all.

        Raises:
            ConfigError: If none is named, or the model has no such task.
        """
        chosen = list(self.tasks) if names is None else list(dict.fromkeys(names))
        if not chosen:
            raise ConfigError(Problem(where, "to name a task", "got nothing"))
        check_head_names(self.tasks, chosen, where)
        return chosen

    def predict(
        self,
        rows: Iterable[Row],
        tasks: Sequence[str] | None = None,
        advance: Advance | None = None,
        *,
        mark: bool = False,
    ) -> Iterator[Values]:
        """Answer rows in their order, some thousand at a time.

        Args:
            rows: Each with ``text``, or ``tokens``, or both; targets are not looked at.
            tasks: The tasks to answer; all when None.
            advance: Called with how many more rows are answered, for a progress bar; of a long
                text, with fractions, as it is read.
            mark: Whether a row that cannot be answered has ``error`` for an answer, as a whole or
                for the task that it is no row for; else it is an error.

        Returns:
            By task, what :meth:`mtl.tasks.Task.present` says of each row. A task that reads more
            than a text leaves rows out that lack it, and counts them in `left_out`.

        Raises:
            ConfigError: If the model has no such task.
            DataError: If a row has no text, or lacks what each of the tasks reads beside it.
        """
        return self._predict(rows, self.choose(tasks), advance or (lambda count: None), mark)

    def _predict(
        self, rows: Iterable[Row], names: list[str], advance: Advance, mark: bool
    ) -> Iterator[Values]:
        numbered = (prepare(row, n, mark=mark) for n, row in enumerate(rows, start=1))
        for chunk in chunks(numbered):
            yield from self._answer(chunk, names, advance, mark, Watch())

    def answer(self, rows: list[Row], watch: Watch) -> list[Values]:
        """Answer some rows together, at once; see :meth:`predict`, with `mark`.

        Args:
            rows: Prepared by :func:`prepare`; the tasks of each may stand in it.
            watch: Told of each answer as soon as it is there.
        """
        return self._answer(rows, list(self.tasks), lambda count: None, True, watch)

    def tokens_of(self, rows: Sequence[Row]) -> int:
        """Return about how many tokens some rows have: each text once, and what stands beside."""
        beside = [str(v) for row in rows for k, v in row.items() if k[0] != "_" and k != "text"]
        texts = list(dict.fromkeys([*(document(row) for row in rows if ERROR not in row), *beside]))
        return sum(map(len, self.loaded.encoder.tokenize(texts)))

    def _answer(
        self, rows: list[Row], names: list[str], advance: Advance, mark: bool, watch: Watch
    ) -> list[Values]:
        takers = [[] if ERROR in row else self._takers(row, names, mark) for row in rows]
        found: list[Values] = [
            {FAILED: row[ERROR]} if ERROR in row else dict.fromkeys(took)
            for row, took in zip(rows, takers, strict=True)
        ]

        def give(number: int, name: str, answer: Values) -> None:
            self.failed += FAILED in answer
            found[number][name] = answer
            watch.answer(number, name, answer)

        def fail(number: int, name: str, reason: str) -> None:
            if not mark:
                raise DataError(reason)
            give(number, name, {FAILED: reason})

        long = [
            one
            for number, row in enumerate(rows)
            for one in self._in_passages(number, row, takers[number], fail)
        ]
        apart = {(one.number, one.task) for one in long}
        at_once = {
            name: [n for n, own in enumerate(found) if name in own and own[name] is None]
            for name in names
        }
        at_once = {name: [n for n in at if (n, name) not in apart] for name, at in at_once.items()}
        meter = Meter(advance, len(rows) - len({number for number, _ in apart}))
        meter.answered(sum(None not in answer.values() for answer in found))

        def answered(number: int, name: str, answer: Values) -> None:
            give(number, name, answer)
            if None not in found[number].values():
                meter.answered(1)

        self._answer_at_once(rows, at_once, meter, answered, watch, mark=mark)
        told = watch.piece if watch.pieces else None
        for one, answer in answer_passages(self, long, advance, told):
            give(one.number, one.task, answer)
        for one in long:
            if one.failed is not None:
                fail(one.number, one.task, one.failed)
        return found

    def _in_passages(
        self, number: int, row: Row, names: list[str], fail: Callable[[int, str, str], None]
    ) -> list[Asked]:
        """Return the tasks that answer a row passage by passage, where its text is a long one.

        Those that have to read it at once fail if it is too long for that.
        """
        if not names or len(row["text"]) <= min(self.max_characters, long_text()):
            return []
        found = []
        for name in names:
            task = self.tasks[name]
            join = task.joins(without_targets(task, row))
            if join is not None:
                found.append(Asked(number, name, join))
            elif len(row["text"]) > self.max_characters:
                fail(number, name, f"{where(row)}: {_too_long(row['text'], self.max_characters)}")
        return found

    def _answer_at_once(
        self,
        rows: list[Row],
        numbers: dict[str, list[int]],
        meter: Meter,
        give: Callable[[int, str, Values], None],
        watch: Watch,
        *,
        mark: bool,
    ) -> None:
        """Answer rows, by task those of some `numbers`, each of which is read as a whole."""
        chosen: dict[str, list[int]] = {}
        stores: list[ExampleStore] = []
        for name, at in numbers.items():
            failed: dict[int, str] | None = {} if mark else None
            kept, store = self.encode(self.tasks[name], [rows[n] for n in at], failed)
            for number, reason in (failed or {}).items():
                give(at[number], name, {FAILED: reason})
            chosen[name] = [at[number] for number in kept]
            if len(store):
                stores.append(store)

        def wrote(name: str, number: int, piece: str) -> None:
            watch.piece(chosen[name][number], name, piece)

        pieces = wrote if watch.pieces else None
        for answered in self.outputs(stores, self.at_once, meter=meter, pieces=pieces):
            name, at = answered.task, [chosen[answered.task][n] for n in answered.numbers]
            for row, output, given in zip(
                at, answered.outputs, answered.examples.rows, strict=True
            ):
                give(row, name, self.tasks[name].present(output, given))

    @property
    def at_once(self) -> int:
        """The most tokens of a pass of texts; on a CPU no more than make use of it."""
        if self.device.type != "cpu":
            return self.tokens
        return min(self.tokens, IN_CACHE * torch.get_num_threads())

    def _takers(self, row: Row, names: list[str], mark: bool) -> list[str]:
        """Return the tasks that answer a row: those it is for and has everything for.

        Raises:
            DataError: If there is none, and the row is not to be marked.
        """
        wanted = [name for name in names if name in row.get(TASKS, names)]
        lacks = {name: lacking(self.tasks[name], row) for name in wanted}
        taking = [name for name in wanted if lacks[name] is None]
        if wanted and not taking:
            lack = f"Expected `{lacks[wanted[0]]}` beside the text, because task '{wanted[0]}' "
            lack += "reads it, but got none"
            if not mark:
                raise DataError(f"{where(row)}: {lack}.")
            row[ERROR] = lack
            self.failed += 1
        self.left_out.update((name, role) for name, role in lacks.items() if role is not None)
        return taking

    def encode(
        self,
        task: Task,
        rows: list[Row],
        failed: dict[int, str] | None,
        *,
        targets: bool = False,
    ) -> tuple[list[int], ExampleStore]:
        """Encode rows for one task; returns the numbers of those that are, and their examples.

        Args:
            task: The task.
            rows: Its rows.
            failed: Takes the numbers of rows that cannot be encoded, with the reasons; such a row
                is an error when None.
            targets: Whether what the task predicts is encoded, too.
        """
        inputs = list(rows) if targets else [without_targets(task, row) for row in rows]
        tokens = self.loaded.encoder.tokenize([document(row) for row in inputs])
        attention = self.loaded.attention(task.name)
        examples: list[Encoded] = []
        kept: list[int] = []
        for number, (row, found) in enumerate(zip(inputs, tokens, strict=True)):
            try:
                example = task.encode(row, found, self.loaded.encoder, attention)
                if not example.length and not task.traits.unread:
                    raise DataError(f"{where(row)}: Expected text, but the tokenizer finds none.")
            except DataError as error:
                if failed is None:
                    raise
                failed[number] = str(error)
                continue
            examples.append(example)
            kept.append(number)
        rows = [inputs[number] for number in kept]
        bidirectional = attention == "bidirectional"
        return kept, build_store(task.name, rows, examples, bidirectional=bidirectional)

    def outputs(
        self,
        stores: Sequence[ExampleStore],
        most: int | None = None,
        decode: Decode | None = None,
        meter: Meter | None = None,
        pieces: Written | None = None,
    ) -> Iterator[Answered]:
        """Answer every example of some stores, longest first, a trunk pass at a time.

        Examples of tasks that write text are answered twice where they have targets: with what
        those cost, and with the texts that were written.

        Args:
            stores: One a task.
            most: Tokens of a pass for the heads; as many as of a batch of texts when None.
            decode: Makes outputs of logits in place of the tasks' own methods.
            meter: Told how much has been read.
            pieces: Told of each text as it is written.
        """
        pad = pad_id(self.loaded.encoder.tokenizer)
        trunk = self.model.trunk
        sharing = Sharing(self.share, trunk.share_branches, pad, tasks=not trunk.readers)
        collator = Collator(stores, most or self.tokens, sharing)
        asked = {s.task: self.tasks[s.task].writer() for s in stores}
        writes = {name: Writes(None, w.new_tokens) for name, w in asked.items() if w}
        by_task = {store.task: store for store in stores}
        half = self.half
        keeps, recall = self.model.trunk.keeps, Recall()
        loader = EvalLoader(collator, stores, writes=writes, keeps=keeps, write_budget=self.tokens)
        tokens = sum(collator.tokens(planned) for planned in loader.passes) if meter else 0
        for batch in loader:
            mixed = torch.autocast(self.device.type, dtype=half, enabled=half is not None)
            with (
                memory_advice(lambda: f"`--tokens` ({self.tokens})", ""),
                torch.inference_mode(),
                mixed,
                meter.reading(self.model.trunk, tokens) if meter and not writes else nullcontext(),
            ):
                moved = batch.to(self.device)
                found = list(answers(self.model, moved, by_task, recall, decode, pieces))
            yield from found


def _too_long(text: str, most: int) -> str:
    """Return what is wrong with the length of a text, in a sentence."""
    memory = len(text) / 1_000_000 * PER_MILLION / 1000
    return (
        f"Expected a text of at most {most:,} characters, because this task has to read it at "
        f"once, but got {len(text):,}, which would take about {memory:,.1f} GB; split it, or "
        "raise `--max-characters`."
    )


def pick_device(name: str) -> torch.device:
    """Return a device of this machine; ``auto`` is the fastest kind.

    Raises:
        ConfigError: If there is no such device.
    """
    found = [
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
    if name not in ("auto", *found):
        raise ConfigError(one_of("--device", name, ["auto", *found]))
    return torch.device(found[0] if name == "auto" else name)
