"""When one name's share of bad mentions rises, beyond what chance explains.

Of every name the last mentions are compared with all that came before them: how likely is it that
so many of the bad ones are among the last, if they had been dealt out by chance? That is the
hypergeometric distribution's tail, Fisher's exact test in one direction (Fisher 1922).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import comb

from mtl.config.section import Values


@dataclass(frozen=True)
class Rule:
    """When to raise an alert.

    Args:
        recent: How many of a name's last mentions are compared with those before.
        least: Mentions on each side below which nothing is said.
        rise: By how much the share of bad ones has to have risen, 0 to 1.
        chance: The probability of such a rise, or a larger one, by chance has to be below this.
    """

    recent: int = 20
    least: int = 5
    rise: float = 0.2
    chance: float = 0.001


@dataclass(frozen=True)
class Mention:
    """A name in a text.

    Args:
        number: Of the text in its stream, counted from 1.
        text: The text, or its sentence with the name.
        bad: Whether it says something bad.
        id: The text's own, where it has one.
    """

    number: int
    text: str
    bad: bool
    id: str | None = None


@dataclass(frozen=True)
class Alert:
    """A name whose share of bad mentions has risen.

    Args:
        name: As it was last written.
        number: Of the text that made it so.
        share: Of bad ones among the last mentions.
        before: Of bad ones among all before them.
        mentions: All of the name so far.
        chance: The probability of so large a rise by chance.
        texts: The bad ones among the last mentions, the latest first.
        id: Of the text that made it so, where it has one.
    """

    name: str
    number: int
    share: float
    before: float
    mentions: int
    chance: float
    texts: tuple[str, ...]
    id: str | None = None

    def to_dict(self) -> Values:
        """Return JSON values."""
        found = {**asdict(self), "texts": list(self.texts)}
        return {name: value for name, value in found.items() if value is not None}


@dataclass
class Tally:
    """The mentions of one name."""

    name: str
    last: deque[Mention] = field(default_factory=deque)
    earlier: int = 0
    earlier_bad: int = 0
    alarmed: bool = False
    """Whether an alert stands: there is no other until the share has fallen again."""
    curve: list[tuple[int, float]] = field(default_factory=list)
    """The share of bad ones among the last mentions, by the number of the text."""

    @property
    def bad(self) -> int:
        """Bad ones among the last mentions."""
        return sum(mention.bad for mention in self.last)

    @property
    def mentions(self) -> int:
        """All of them."""
        return self.earlier + len(self.last)

    def see(self, mention: Mention, rule: Rule) -> Alert | None:
        """Count a mention, and return the alert that it raises."""
        self.last.append(mention)
        while len(self.last) > rule.recent:
            self.earlier += 1
            self.earlier_bad += self.last.popleft().bad
        share = self.bad / len(self.last)
        self.curve.append((mention.number, share))
        if min(len(self.last), self.earlier) < rule.least:
            return None
        before = self.earlier_bad / self.earlier
        chance = tail(self.bad, len(self.last), self.earlier_bad, self.earlier)
        risen = share - before >= rule.rise and chance < rule.chance
        if self.alarmed:
            self.alarmed = share - before > rule.rise / 2
            return None
        if not risen:
            return None
        self.alarmed = True
        texts = tuple(one.text for one in reversed(self.last) if one.bad)
        return Alert(
            self.name, mention.number, share, before, self.mentions, chance, texts, mention.id
        )


class Watch:
    """The mentions of all names, as texts come in.

    Args:
        rule: When to raise an alert.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.names: dict[str, Tally] = {}
        self.alerts: list[Alert] = []
        self.texts = 0

    def see(self, mentions: Sequence[tuple[str, Mention]]) -> list[Alert]:
        """Count a text's names, each once, and return the alerts that they raise.

        Args:
            mentions: Of one text; a name with several is bad where any of them is.
        """
        self.texts += 1
        found: dict[str, tuple[str, Mention]] = {}
        for name, mention in mentions:
            if mention.bad or not (plain(name) in found and found[plain(name)][1].bad):
                found[plain(name)] = name, mention
        new = []
        for key, (name, mention) in found.items():
            tally = self.names.setdefault(key, Tally(name))
            alert = tally.see(mention, self.rule)
            new += [alert] if alert else []
        self.alerts += new
        return new


def plain(name: str) -> str:
    """Return what spellings of one name share: no capitals, single spaces, no genitive."""
    found = " ".join(name.split()).casefold()
    return found.removesuffix("'s").removesuffix("’s")


def tail(bad: int, of: int, earlier_bad: int, earlier: int) -> float:
    """Return the probability of so many bad ones among the last, or more, by chance.

    Args:
        bad: Bad ones among the last.
        of: How many the last are.
        earlier_bad: Bad ones before.
        earlier: How many there were before.
    """
    all_bad, every = bad + earlier_bad, of + earlier
    ways = sum(comb(all_bad, k) * comb(every - all_bad, of - k) for k in range(bad, of + 1))
    return ways / comb(every, of)
