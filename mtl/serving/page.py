"""The page at ``/``, and what it may do: run its own script, and ask this server."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache

from mtl.reporting.pages.render import render

_PARTS = {
    "script-src": re.compile(r"<script>(.*?)</script>", re.DOTALL),
    "style-src": re.compile(r"<style>(.*?)</style>", re.DOTALL),
}


@dataclass(frozen=True)
class Page:
    """A page and its Content-Security-Policy."""

    html: str
    policy: str


@cache
def page() -> Page:
    """Return the page: one file, whose only script and style are named by their hashes."""
    html = render("serve")
    allowed = [f"{kind} {_hash(found)}" for kind, found in _inline(html)]
    rest = "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    policy = f"default-src 'none'; {'; '.join(allowed)}; {rest}; frame-ancestors 'none'"
    return Page(html, policy)


def _inline(html: str) -> list[tuple[str, str]]:
    return [(kind, found) for kind, part in _PARTS.items() for found in part.findall(html)]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
