"""A page of what a watch has seen: alerts, and each name's share of bad mentions over time."""

from __future__ import annotations

from collections.abc import Sequence

from mtl.inference.watch.shares import Tally, Watch
from mtl.reporting.pages.charts import Lines, lines
from mtl.reporting.pages.render import render

SHOWN = 50
"""Names with the most mentions that have a row."""
DRAWN = 6
"""Names that have a curve: those with an alert first, then those with the most mentions."""
EXAMPLES = 5


def page(watch: Watch, source: str) -> str:
    """Return the page.

    Args:
        watch: What was seen.
        source: Where the texts come from, in words.
    """
    alarmed = {alert.name for alert in watch.alerts}
    by_size = sorted(watch.names.values(), key=lambda tally: (-tally.mentions, tally.name))
    drawn = sorted(by_size, key=lambda tally: tally.name not in alarmed)[:DRAWN]
    return render(
        "watch",
        source=source,
        texts=watch.texts,
        rule=watch.rule,
        alerts=[
            {"alert": alert, "texts": alert.texts[:EXAMPLES], "more": len(alert.texts) - EXAMPLES}
            for alert in reversed(watch.alerts)
        ],
        rows=[_row(tally) for tally in by_size[:SHOWN]],
        more=max(0, len(by_size) - SHOWN),
        chart=_chart(drawn),
    )


def _row(tally: Tally) -> dict[str, object]:
    bad = tally.bad + tally.earlier_bad
    return {
        "name": tally.name,
        "mentions": tally.mentions,
        "bad": bad,
        "share": bad / tally.mentions,
        "recent": tally.bad / len(tally.last),
        "alarmed": tally.alarmed,
    }


def _chart(tallies: Sequence[Tally]) -> Lines | None:
    return lines({tally.name: tally.curve for tally in tallies})
