"""Templates become pages. Whatever comes from data is text there, never markup."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = "{name}.js"
"""The script of a template, beside it."""


def render(template: str, **values: object) -> str:
    """Return a page.

    Args:
        template: Its name in ``templates/``, without the ending. A script of this name beside it is
            put into the page; no other can run there, because the page names its hash.
        values: What the template shows.
    """
    file = TEMPLATES / SCRIPT.format(name=template)
    script = file.read_text(encoding="utf-8") if file.is_file() else ""
    digest = hashlib.sha256(script.encode()).digest()
    allowed = f"'sha256-{base64.b64encode(digest).decode()}'" if script else "'none'"
    page = _environment().get_template(f"{template}.html")
    return page.render(script=script, allowed_script=allowed, **values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "percent": percent, "score": score}
    return found


def number(value: float) -> str:
    """Return a count with separators: ``12,345``."""
    return f"{value:,.0f}"


def percent(value: float) -> str:
    """Return a share as percent: ``12.3%``."""
    return f"{100 * value:.1f}%"


def score(value: float | None) -> str:
    """Return a score with four digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"
