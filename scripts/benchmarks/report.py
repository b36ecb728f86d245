"""Shows records of cases: a table for the terminal, tables and a picture for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text


def target_of(ratio: Mapping[str, Any]) -> str:
    """Return a target as text: ``≥ 2.5``."""
    if ratio["target"] is None:
        return ""
    return f"{'≥' if ratio['at_least'] else '≤'} {ratio['target']:g}"


def spread_of(ratio: Mapping[str, Any]) -> str:
    """Return a ratio with its lowest and highest round."""
    return f"{ratio['median']:.3g} ({ratio['lowest']:.3g} to {ratio['highest']:.3g})"


def figure(value: float) -> str:
    """Return a side's figure, short."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Return the ratios of all records, for the terminal."""
    found = Table(box=None, pad_edge=False)
    found.add_column("case", overflow="fold")
    found.add_column("ratio", overflow="fold")
    for name in ("median (spread)", "target", ""):
        found.add_column(name, no_wrap=True, justify="right")
    for record in records:
        for number, ratio in enumerate(record["ratios"]):
            word = WORDS[ratio["met"]]
            name = record["name"] if not number else ""
            found.add_row(name, ratio["label"], spread_of(ratio), target_of(ratio), word)
    return found


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Return two tables: the ratios with their targets, and what each side did."""
    lines = ["| case | ratio | median (lowest to highest) | target | |", "|---|---|---|---|---|"]
    for record in records:
        for ratio in record["ratios"]:
            word = {True: "met", False: "**missed**", None: ""}[ratio["met"]]
            cells = (record["name"], ratio["label"], spread_of(ratio), target_of(ratio), word)
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| case | what | unit | medians |", "|---|---|---|---|"]
    for record in records:
        sides = "; ".join(f"{side} {figure(v)}" for side, v in record["medians"].items())
        lines.append(f"| {record['name']} | {record['title']} | {record['unit']} | {sides} |")
    return "\n".join(lines)


WORDS = {
    True: Text("met", style="green"),
    False: Text("missed", style="red"),
    None: Text(""),
}
START, END = "<!-- figures -->", "<!-- end of figures -->"


def report(records: Sequence[Mapping[str, Any]], page: Path, picture: Path) -> None:
    """Write the tables between a page's markers, and draw the picture that stands with them.

    Args:
        records: What :func:`measure` returned.
        page: A Markdown file with both markers.
        picture: An SVG file in the page's folder or below.

    Raises:
        ValueError: If the page has no markers.
    """
    text = page.read_text("utf-8")
    if START not in text or END not in text:
        raise ValueError(f"Expected {START} and {END} in {page}.")
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    shown = f"![Every ratio beside its target]({picture.relative_to(page.parent).as_posix()})"
    body = f"{machines(records)}\n\n{markdown(records)}\n\n{shown}"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(records, picture)
    page.write_text(f"{before}{START}\n{body}\n{END}{after}", encoding="utf-8")


OWN = ("processor", "cores", "python")
"""What a record says of its machine; the rest are packages."""


def machines(records: Sequence[Mapping[str, Any]]) -> str:
    """Return on what machine, with which packages and threads the figures were taken."""
    found: dict[str, list[str]] = {}
    for record in records:
        about = record["machine"]
        packages = ", ".join(f"{name} {about[name]}" for name in about if name not in OWN)
        form = "the short form, " if record["settings"]["short"] else ""
        words = (
            f"{about['processor']}, {about['cores']} cores, {form}"
            f"threads: {record['settings']['threads']}, Python {about['python']}, {packages}"
        )
        found.setdefault(words, []).append(record["name"])
    if len(found) == 1:
        return f"Measured on: {next(iter(found))}."
    return "\n".join(f"- {', '.join(cases)}: {words}" for words, cases in found.items())


def draw(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw every ratio that has a target as how far it lies beyond it, 1 being just met."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "mtl"
    rows = [(r, q) for r in records for q in r["ratios"] if q["target"] is not None][::-1]
    figure_, axes = plt.subplots(figsize=(8, 0.9 + 0.33 * len(rows)), layout="constrained")
    for place, (_, ratio) in enumerate(rows):
        ends = [_beyond(ratio, ratio[key]) for key in ("lowest", "median", "highest")]
        colour = "#1f6f8b" if ratio["met"] else "#b5651d"
        axes.plot([ends[0], ends[2]], [place, place], color=colour, linewidth=2)
        axes.plot([ends[1]], [place], marker="o", color=colour)
    axes.axvline(1.0, color="grey", linestyle=":")
    labels = [f"{record['name']}: {ratio['label']}" for record, ratio in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    found = [f"{ratio['median']:.3g}, target {target_of(ratio)}" for _, ratio in rows]
    figures = axes.secondary_yaxis("right")  # Of its own width, so that none is cut.
    figures.set_yticks(range(len(rows)), found, fontsize=8)
    figures.tick_params(length=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("how far beyond its target (1: just met; right is better)")
    figure_.savefig(path, metadata={"Date": None})
    plt.close(figure_)


def _beyond(ratio: Mapping[str, Any], value: float) -> float:
    return float(value / ratio["target"] if ratio["at_least"] else ratio["target"] / value)
