"""A real browser for tests of pages; they are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
PHONE, DESKTOP = 380, 1200

CONTRASTS = """() => {
  const parse = text => {
    const n = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith('color(') ? 1 : 255;
    return {rgb: n.slice(0, 3).map(v => v / scale), alpha: n.length > 3 ? n[3] : 1};
  };
  const over = (top, under) => top.rgb.map((v, i) => v * top.alpha + under[i] * (1 - top.alpha));
  const behind = element => {
    if (!element) return [1, 1, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own.alpha === 1 ? own.rgb : over(own, behind(element.parentElement));
  };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
    if (element.closest('svg') || !element.checkVisibility()) continue;
    const back = behind(element), front = over(parse(getComputedStyle(element).color), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    found.push([(high + 0.05) / (low + 0.05), node.data.trim().slice(0, 60)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""
"""The contrast of each text with what is behind it (WCAG 2.1, 1.4.3), the lowest first."""


@contextmanager
def opened(
    file: Path, width: int = DESKTOP, *, dark: bool = False
) -> Iterator[tuple[Any, list[str]]]:
    """Yield a page without network, and what its console says."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        scheme = "dark" if dark else "light"
        view = {"width": width, "height": 800}
        context = browser.new_context(viewport=view, color_scheme=scheme, offline=True)
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if asks(request.url) else None)
        page.goto(file.resolve().as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        yield page, said
        browser.close()


def asks(url: str) -> bool:
    """Whether a request is for something that is not in the page's own file."""
    return not url.startswith(("file:", "data:"))


def check_page(file: Path) -> None:
    """Look at a page on a desk and on a phone, in light and in dark.

    Nothing is said in the console, nothing asked of the network, nothing is wider than the screen,
    and text has a contrast of at least 4.5.
    """
    for width in (DESKTOP, PHONE):
        for dark in (False, True):
            with opened(file, width, dark=dark) as (page, said):
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                contrast, text = page.evaluate(CONTRASTS)[0]
                assert contrast >= 4.5, (contrast, text, dark)
                assert said == []
