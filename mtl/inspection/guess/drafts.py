"""From files to the YAML of each task that they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from mtl.config.rules import LONGEST_NAME
from mtl.config.section import Values
from mtl.errors import MtlError
from mtl.inspection.guess.corpora import Corpus, find_corpora
from mtl.inspection.guess.proposals import Proposal, propose
from mtl.inspection.guess.tables import UNKNOWN, Table, look


@dataclass(frozen=True)
class Draft:
    """A task, to be written as ``task/<name>.yaml``."""

    name: str
    spec: Values
    why: str
    file: str
    """By which it was judged."""

    @property
    def yaml(self) -> str:
        """The content of its file."""
        body = yaml.safe_dump(
            self.spec, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
        )
        return f"# @package tasks.{self.name}\n# {' '.join(self.why.split())}\n{body}"


def draft(paths: Sequence[str]) -> tuple[list[Draft], list[str]]:
    """Return the tasks that files hold, and a sentence for all that could not be told.

    Raises:
        DataError: If there is no such file.
    """
    notes: list[str] = []
    drafts: list[Draft] = []
    for corpus in find_corpora(paths, notes):
        try:
            table = look(corpus)
        except MtlError as problem:
            notes.append(f"{corpus.sample}: it could not be read: {problem}")
            continue
        proposals = _parallel(corpus) if corpus.files else propose(table)
        if not proposals:
            notes.append(_untold(corpus, table))
        taken = {one.name for one in drafts}
        for proposal in proposals:
            name = _name(proposal, corpus, taken)
            taken.add(name)
            drafts.append(Draft(name, _spec(proposal, corpus), proposal.why, str(corpus.sample)))
    return drafts, notes


def _parallel(corpus: Corpus) -> list[Proposal]:
    """Return the task of parallel files."""
    told = ", ".join(f"{role} in {file.name}" for role, file in corpus.files.items())
    columns = {role: role for role in corpus.files}
    return [Proposal(corpus.type, columns, f"line by line: {told}")]


def _untold(corpus: Corpus, table: Table) -> str:
    if table.format == UNKNOWN:
        return f"{corpus.sample}: neither its ending nor its first lines tell a format."
    columns = ", ".join(str(column) for column in table.columns) or "no columns"
    return (
        f"{corpus.sample}: no task could be told from its columns ({columns}). Copy a file of "
        "conf/task, and set `type`, `data` and `columns` (docs/data.md)."
    )


def _spec(proposal: Proposal, corpus: Corpus) -> Values:
    spec: Values = {"type": proposal.type, "data": {**corpus.data, **proposal.data}}
    spec["columns"] = proposal.columns
    if proposal.options:
        spec["options"] = proposal.options
    return spec


def _name(proposal: Proposal, corpus: Corpus, taken: set[str]) -> str:
    """Return a name that a file and a key can have, and that no other task has."""
    name = _plain(proposal.about) or _plain(corpus.name) or proposal.type
    both = f"{_plain(corpus.name)}_{name}".strip("_")[:LONGEST_NAME]
    numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return next(n for n in (name, both, *numbered) if n not in taken)


def _plain(text: str) -> str:
    """Return a text in letters, digits and underscores of ASCII, beginning with a letter."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[: LONGEST_NAME - 4]
    return plain if not plain[:1].isdigit() else f"task_{plain}"
