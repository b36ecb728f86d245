"""A task: where its examples come from, how they are written, and what is learned of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mtl.config.schema.model import Attention
from mtl.config.section import (
    MISSING,
    Blank,
    Field,
    Files,
    Flag,
    Lower,
    Number,
    Section,
    Text,
    Whole,
)


class LabelConfig(Section):
    """What is known of a task's labels beside its data."""

    labels: list[Blank] | None = None
    """All labels that there are; a number in a file is the place of one, counted from 0."""
    unseen_labels: Annotated[Literal["error", "count"], Lower] = "error"
    """``count``: a label that training has no row of is learned to be one, so that rows of
    validation and test that have it count as wrong."""
    ignore_labels: list[Blank] = []
    """Labels that are none, such as ``_`` or ``-100``: rows with one are left out, in tagging
    words."""


class FileConfig(Section):
    """How a task's files are written, where it is said and not guessed."""

    format: Text | None = None
    """A registered reader, such as ``conll | tsv | csv | xlsx | jsonl | json | parquet``, or one of
    another package; guessed from the file's name and content when unset."""
    columns: dict[str, dict[str, Any]] = {}
    """By split: columns of its own, where its files have others than the task's `columns` say."""
    header: Flag | None = None
    """Whether a TSV or CSV file starts with column names; guessed from the columns when unset."""
    encoding: Text = "utf-8"
    delimiter: Blank | None = None
    """What cells of a CSV or TSV file are apart by: a character, or ``comma | semicolon | tab |
    pipe | space``; found from the first rows when unset."""
    quoting: Flag | None = None
    """Whether a quotation mark that begins a cell of a CSV or TSV file encloses it; when unset, it
    does in CSV, and in TSV if the file is written so."""
    comment: Blank | None = None
    """What comment lines before a sentence of a CoNLL file begin with, ``none`` where every line is
    a word; when unset ``#``, where the line is not like those of words."""


class DataConfig(FileConfig, LabelConfig):
    """Where a task's examples come from."""

    source: Text | None = None
    """Something with all splits: ``bundled:<name>``, ``hub:<dataset>[@revision][:<config>]``, or
    a folder."""
    train: Files | None = None
    """A file or glob for this split, or a list of them; or by role files of which line n belongs
    together, such as ``{tokens: seq.in, labels: seq.out}``. Wins over the source."""
    validation: Files | None = None
    test: Files | None = None
    on_bad_row: Annotated[Literal["error", "skip"], Lower] = "error"
    """``error`` stops at the first bad row; ``skip`` counts them and writes ``rejected.jsonl``."""
    validation_fraction: Number = Field(0.1, gt=0, lt=1)
    """Share of train that becomes validation when there is no validation split."""
    fold: Text | None = None
    """``2/5``: validate on the second of five parts of train, and train on the others."""
    group: Text | None = None
    """A column: rows with the same value stay on one side when validation is cut from train."""
    max_examples: Whole | None = Field(None, ge=1)
    """Use only a sample of so many rows of each split, in which labels have their shares; of test,
    too, so that scores are of fewer rows: `max_train_examples` leaves them whole."""
    max_train_examples: Whole | None = Field(None, ge=1)
    """The same for train; wins over `max_examples` there."""


class TaskConfig(Section):
    """One task: data, head, metric and options of its type."""

    type: Text = MISSING
    data: DataConfig = DataConfig()
    columns: dict[str, Any] = {}
    """Role to column: a name, or a number where the file has no header."""
    head: dict[str, Any] = {}
    """Options of the task type's head; checked against the type's own dataclass."""
    options: dict[str, Any] = {}
    """Options of the task type; checked against the type's own dataclass."""
    metric: Text | None = None
    """The task's primary metric; the task type's default when unset."""
    metrics: list[Any] = []
    """Further metrics, by registered name, or as ``{name: auroc, average: weighted}``."""
    weight: Number = Field(1.0, ge=0)
    attention: Attention | None = None
    """Overrides `trunk.attention` for this task."""
