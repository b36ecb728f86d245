"""Jobs of a sweep by two metrics, as a picture: which of them no other is better than in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, EDGE = 480, 360, 56
STYLE = (
    "svg{color:#222;background:#fff;font:13px sans-serif}"
    "@media(prefers-color-scheme:dark){svg{color:#ddd;background:#181818}}"
    "text{fill:currentColor}path,line{stroke:currentColor;fill:none}"
    "circle{fill:none;stroke:currentColor}.best{fill:currentColor}"
)


@dataclass(frozen=True)
class Point:
    """A job, and its two metrics."""

    job: int
    x: float
    y: float
    best: bool
    """Whether no other job is better in both."""


def front_svg(points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Return a picture in SVG: the best jobs filled and connected, the others as rings."""
    across = _scale([p.x for p in points], EDGE, WIDTH - 16)
    up = _scale([p.y for p in points], HEIGHT - EDGE, 16)
    best = sorted((p for p in points if p.best), key=lambda p: (p.x, p.y))
    path = " ".join(f"{across(p.x):.1f},{up(p.y):.1f}" for p in best)
    said = ", ".join(f"job {p.job} ({p.x:.4f}, {p.y:.4f})" for p in best)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(y_name)} by {escape(x_name)}</title>",
        f"<desc>No job is better in both than: {said}</desc><style>{STYLE}</style>",
        f'<path d="M{EDGE},16V{HEIGHT - EDGE}H{WIDTH - 16}"/>',
        f'<path stroke-dasharray="4 4" d="M{path}"/>' if len(best) > 1 else "",
    ]
    for p in points:
        mark = ' class="best"' if p.best else ""
        place = f'cx="{across(p.x):.1f}" cy="{up(p.y):.1f}"'
        told = f"<title>job {p.job}: {p.x:.4f}, {p.y:.4f}</title>"
        parts.append(f'<circle{mark} {place} r="5">{told}</circle>')
    xs, ys = [p.x for p in points], [p.y for p in points]
    below = HEIGHT - EDGE + 18
    parts += [_text(across(v), below, f"{v:.4f}", "middle") for v in sorted({min(xs), max(xs)})]
    parts += [_text(EDGE - 4, up(v) + 4, f"{v:.3f}", "end") for v in sorted({min(ys), max(ys)})]
    parts.append(_text((EDGE + WIDTH) / 2, HEIGHT - 12, x_name, "middle"))
    middle = f"rotate(-90 14 {HEIGHT / 2:.0f})"
    parts.append(_text(14, HEIGHT / 2, y_name, "middle", f' transform="{middle}"'))
    return "".join([*parts, "</svg>"]) + "\n"


def _scale(values: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """Return what puts values at places; where all are equal, in the middle."""
    low, high = min(values), max(values)
    margin = (last - first) * 0.06

    def place(value: float) -> float:
        share = 0.5 if math.isclose(low, high) else (value - low) / (high - low)
        return first + margin + share * (last - first - 2 * margin)

    return place


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
