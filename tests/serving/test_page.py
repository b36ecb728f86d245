"""The page at ``/`` in a real browser."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from mtl.inference.predictor import RowPredictor
from tests.browser import CHROMIUM, CONTRASTS, DESKTOP
from tests.serving.conftest import running
from tests.serving.runs import TEXTS

PHONE = 390
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><b>Ines</b> & \U0001f600 Brackwater"


def test_the_policy_names_the_page_s_own_parts(client: TestClient) -> None:
    found = client.get("/")
    policy = found.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "default-src 'none'" in policy
    assert found.text.count("<script>") == found.text.count("<style>") == 1
    assert "style=" not in found.text
    assert "http://" not in found.text.replace("http://www.w3.org", "")
    assert found.headers["x-content-type-options"] == "nosniff"


FOCUSED = "document.activeElement.id || document.activeElement.value"
UNNAMED = """[...document.querySelectorAll('input,select,textarea')].filter(
  e => e.checkVisibility() && !e.labels.length && !e.ariaLabel).length"""
WITHOUT_TAGS = """element => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll('.tag').forEach(tag => tag.remove());
  return copy.textContent;
}"""


@contextmanager
def opened(address: str, width: int = DESKTOP, *, dark: bool = False) -> Iterator[Any]:
    """Yield the page; an error at the end is what its console says, and what it asks others for."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        page, said = context.new_page(), []
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((address, "data:")) else said.append(asked.url)
            ),
        )
        page.goto(address)
        page.wait_for_selector("#tasks input")
        yield page
        browser.close()
        assert said == []


def says(page: Any, text: str) -> None:
    """Wait for what the page says of itself; without code of ours, which its policy forbids."""
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_have_text(text, timeout=10_000)


def answered(page: Any, text: str, question: str = "Who left?\nLeft what?") -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("Questions, one a line").fill(question)
    page.get_by_role("button", name="Answer").click()
    says(page, "Done.")


in_browser = pytest.mark.slow


@in_browser
def test_a_text_is_answered_marked_and_corrected(model: RowPredictor, tmp_path: Path) -> None:
    with running(model, corrections=tmp_path) as address, opened(address) as page:
        answered(page, TEXTS[0])
        assert page.locator("section.result h3").all_inner_texts() == [
            "ner",
            "sentiment",
            "qa",
            "summary",
        ]
        assert page.locator("[data-task=sentiment] .share").count() == 3
        assert page.locator("[data-task=qa] dd").count() == 2
        assert page.locator("[data-task=summary] .written").inner_text().strip()
        source = page.locator("[data-task=ner] .source")
        assert source.evaluate(WITHOUT_TAGS).replace(" ", "") == TEXTS[0].replace(" ", "")

        ner = page.locator("[data-task=ner]")
        ner.locator("summary").click()
        for button in ner.get_by_role("button", name="Remove").all()[::-1]:
            button.click()
        ner.get_by_label("Words of the text to add").fill("Brackwater")
        ner.get_by_label("Their label").select_option("LOC")
        ner.get_by_role("button", name="Add").click()
        assert ner.locator("mark").inner_text().split() == ["Brackwater", "LOC"]
        ner.get_by_role("button", name="Keep as right").click()
        says(page, "Kept in run/ner.jsonl.")
        mood = page.locator("[data-task=sentiment]")
        mood.locator("summary").click()
        mood.get_by_label("Right label").select_option("negative")
        mood.get_by_role("button", name="Keep as right").click()
        says(page, "Kept in run/sentiment.jsonl.")
    kept = [json.loads((tmp_path / "run" / f"{n}.jsonl").read_text()) for n in ("ner", "sentiment")]
    assert kept[0] == {
        "text": TEXTS[0],
        "spans": [{"start": 17, "end": 27, "label": "LOC"}],
    }
    assert kept[1] == {"text": TEXTS[0], "label": "negative"}


@in_browser
def test_markup_in_a_text_is_text(model: RowPredictor) -> None:
    with running(model) as address, opened(address) as page:
        answered(page, HOSTILE)
        assert page.title() == "mtl: try the models"
        assert page.locator("#results img, #results .source b").count() == 0
        assert "<img src=x" in page.locator("[data-task=ner] .source").inner_text()


@in_browser
def test_the_keyboard_is_enough(model: RowPredictor) -> None:
    with running(model) as address, opened(address) as page:
        reached: list[str] = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("document.activeElement.id || document.activeElement.value")
            )
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if reached[-1] == "python":
                break
        assert reached == [
            "text",
            "questions",
            "ner",
            "sentiment",
            "qa",
            "summary",
            "go",
            "curl",
            "python",
        ]
        page.get_by_label("Text", exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type("Ines left.")
        page.keyboard.press("Control+Enter")
        says(page, "Done.")
        assert page.locator("section.result").count() == 3, "without a question, not qa"


@in_browser
def test_the_copied_requests_work(model: RowPredictor) -> None:
    import subprocess
    import sys

    with running(model) as address, opened(address) as page:
        text = 'It\'s "hot" \\ here & `cold`; $HOME\nInes left. \U0001f600'
        page.get_by_label("Text", exact=True).fill(text)
        found = []
        for name, command in (("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])):
            page.get_by_role("button", name=f"Copy as {name}").click()
            says(page, f"Copied as {name}.")
            code = page.evaluate("navigator.clipboard.readText()")
            assert code == page.locator("#code").text_content()
            done = subprocess.run([*command, code], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            found.append(done.stdout)
        assert json.loads(found[0])["results"][0]["text"] == text
        assert ast.literal_eval(found[1])[0]["text"] == text


@in_browser
def test_a_key_is_asked_for_on_the_page(model: RowPredictor) -> None:
    key = "0123456789abcdef"
    with running(model, key=key) as address:
        if CHROMIUM is None:
            pytest.skip("there is no Chromium")
        playwright = pytest.importorskip("playwright.sync_api")
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(10_000)
            page.goto(address)
            page.get_by_label("Key of this server").fill(key)
            page.get_by_label("Key of this server").press("Tab")
            page.wait_for_selector("#tasks input")
            answered(page, TEXTS[0])
            page.get_by_role("button", name="Copy as curl").click()
            assert key not in str(page.locator("#code").text_content())
            browser.close()


@in_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_it_fits_and_can_be_read(
    model: RowPredictor, width: int, dark: bool, tmp_path: Path
) -> None:
    with running(model, corrections=tmp_path) as address, opened(address, width, dark=dark) as page:
        answered(page, " ".join(TEXTS) + " " + "unbroken" * 12)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        contrast, text = page.evaluate(CONTRASTS)[0]
        assert contrast >= 4.5, (contrast, text)
        assert page.evaluate(UNNAMED) == 0
        page.screenshot(path=tmp_path / "page.png", full_page=True)
