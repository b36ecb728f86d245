"""What readers guess, convert or leave out, counted so that each is said once.

As a user reads it::

    tasks.ner.data: 312 comment lines left out, the first at train.conllu:1.
    tasks.ner.data: cells are taken to be apart by semicolons in train.csv and 3 more files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class _Finding:
    first: str
    count: int = 1


class Notes:
    """Collects findings of one kind under one sentence, with the first place and how many."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], _Finding] = {}
        self._said: dict[str, _Finding] = {}

    def count(self, place: str, what: str, then: str, number: int = 1) -> None:
        """Count things that are put right or left out.

        Args:
            place: The file and line of the first one.
            what: One of them, such as ``blank row``; its plural takes an ``s``.
            then: What becomes of them, such as ``left out``.
            number: How many there are.
        """
        found = self._counted.setdefault((what, then), _Finding(place, 0))
        found.count += number

    def say(self, file: str, sentence: str) -> None:
        """Note what holds for a file as a whole: a sentence without file and full stop."""
        if sentence in self._said:
            self._said[sentence].count += 1
        else:
            self._said[sentence] = _Finding(file)

    def sentences(self, section: str) -> list[str]:
        """Return a sentence for each finding.

        Args:
            section: The config section that names the files; empty for a command line's.
        """
        lead = f"{section}: " if section else ""
        said = [
            f"{lead}{sentence} in {found.first}{_more(found.count - 1)}."
            for sentence, found in self._said.items()
        ]
        return said + [
            f"{lead}{found.count:,} {what}{'s' if found.count != 1 else ''} {then}, "
            f"{'the first ' if found.count != 1 else ''}at {found.first}."
            for (what, then), found in self._counted.items()
        ]


def _more(files: int) -> str:
    return f" and {files:,} more file{'s' if files != 1 else ''}" if files else ""
