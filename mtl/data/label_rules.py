"""What a task's ``data`` section says of its labels, applied to each row as it is read.

``data.labels: [O, B-PER, I-PER, B-LOC]`` names labels that files have as numbers, and is all that
there may be; ``data.ignore_labels: [_]`` leaves rows with such a label out, in tagging such words.
Of entities, both may name types, as ``[PER, LOC]``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from mtl.config.schema import LabelConfig
from mtl.data.rows import Role
from mtl.data.value_types import show, to_label
from mtl.errors import Mismatch, few, nearest
from mtl.labels import OUTSIDE, read_tag
from mtl.types import Row

_DIGITS = 10
"""Of a number that may be a label's place."""
IGNORED = ""
"""The tag of a word that is neither learned from nor scored."""
MISSING = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "nat"})
"""How programs write that there is no value, in small letters."""


def entity_types(names: Sequence[str]) -> list[str]:
    """Return declared labels if they are types of entities, such as ``PER``, and no tags."""
    return [] if any(read_tag(name) is not None for name in names) else list(names)


class LabelRules:
    """Names, refuses and ignores the labels of rows.

    Args:
        config: What the section says of labels.
        roles: What the task reads.
        section: The section, for messages.
    """

    def __init__(self, config: LabelConfig, roles: Sequence[Role], section: str) -> None:
        self.section = section
        self.names = [str(to_label(label)) for label in config.labels or []]
        self.ignored = {str(to_label(label)) for label in config.ignore_labels}
        self.counts: Counter[str] = Counter()
        """How many labels were ignored, or stand for a missing value, by label."""
        self._known = set(self.names)
        self._apply: dict[str, Callable[[Row, str], bool]] = {}
        self.types = entity_types(self.names)
        rules = {
            "label": self._one,
            "labels": self._several,
            "tags": self._tags,
            "spans": self._spans,
        }
        for role in roles:
            if role.target and role.type in rules:
                self._apply[role.name] = rules[role.type]

    def __call__(self, row: Row) -> Row | None:
        """Return a row with its labels' names, or None if its label is to be ignored.

        Raises:
            ValueError: If a label is not among those that are declared.
        """
        for role, rule in self._apply.items():
            if role in row and not rule(row, role):
                return None
        return row

    def notes(self) -> list[str]:
        """Return what was ignored, and what looks like a missing value."""
        ignored = sum(self.counts[label] for label in self.ignored)
        lines = []
        if ignored:
            lines.append(f"{self.section}: {ignored:,} labels are ignored (ignore_labels).")
        return lines + [
            f"{self.section}: {_rows(self.counts[label])} the label '{label}', which often "
            f"stands for none. `{self.section}.ignore_labels=[{label}]` leaves them out."
            for label in sorted(self.counts.keys() - self.ignored)
        ]

    def _one(self, row: Row, role: str) -> bool:
        label = row[role] = self._named(row[role])
        if label in self.ignored or label.lower() in MISSING:
            self.counts[label] += 1
        return label not in self.ignored

    def _several(self, row: Row, role: str) -> bool:
        given = row[role]
        switches = len(given) > 1 and set(given) <= {"0", "1"}
        if switches and len(given) == len(self.names) and not self._known & {"0", "1"}:
            given = [name for name, on in zip(self.names, given, strict=True) if on == "1"]
        elif len(set(given)) < len(given):
            raise Mismatch(
                "a list of labels",
                f"got {given}, which looks like a 0 or 1 for each label; name the labels in "
                f"`{self.section}.labels`",
            )
        named = [self._named(label) for label in given]
        self.counts.update(label for label in named if label in self.ignored)
        row[role] = [label for label in named if label not in self.ignored]
        return True

    def _tags(self, row: Row, role: str) -> bool:
        row[role] = [self._tag(label) for label in row[role]]
        return any(row[role])

    def _spans(self, row: Row, role: str) -> bool:
        named = [{**span, "label": self._named(span["label"])} for span in row[role]]
        self.counts.update(span["label"] for span in named if span["label"] in self.ignored)
        row[role] = [span for span in named if span["label"] not in self.ignored]
        return True

    def _tag(self, label: str) -> str:
        """Return a word's label with its name; one of an entity by its type, where types are said.

        ``B-1`` is ``B-PER`` where the second declared type is ``PER``.
        """
        tag = read_tag(label)
        if tag is None or not tag.type or label in self.ignored:
            of_types = self.types and label == OUTSIDE
            return self._kept(label if of_types else self._named(label))
        if tag.type in self.ignored:
            return self._kept(tag.type)
        if not self.types:
            return self._kept(self._named(label))
        name = self._named(tag.type)
        return label if name == tag.type else f"{tag.letter}-{name}"

    def _kept(self, label: str) -> str:
        if label in self.ignored:
            self.counts[label] += 1
        return IGNORED if label in self.ignored else label

    def _named(self, label: str) -> str:
        if not self.names or label in self._known or label in self.ignored:
            return label
        numbered = label.isdecimal() and label.isascii() and len(label) < _DIGITS
        if numbered and int(label) < len(self.names):
            return self.names[int(label)]
        near = nearest(label, self.names)
        meant = f" (did you mean {near!r}?)" if near else ""
        raise Mismatch(
            f"one of the labels that `{self.section}.labels` declares ({few(self.names, label)})",
            f"got {show(label)}{meant}",
        )


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"
