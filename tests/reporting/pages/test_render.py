"""Pages are text with data in it, and run no script but their own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtl.reporting.pages import render as module
from mtl.reporting.pages.render import number, percent, render, score


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(module, "TEMPLATES", tmp_path)
    module._environment.cache_clear()
    yield tmp_path
    module._environment.cache_clear()


def test_values_are_escaped(templates: Path) -> None:
    (templates / "x.html").write_text('<p title="{{ a }}">{{ a }}</p>', encoding="utf-8")
    assert (
        render("x", a="\"<i>&'")
        == '<p title="&#34;&lt;i&gt;&amp;&#39;">&#34;&lt;i&gt;&amp;&#39;</p>'
    )


def test_only_the_script_of_the_template_may_run(templates: Path) -> None:
    (templates / "x.html").write_text("{{ allowed_script | safe }} {{ script | safe }}", "utf-8")
    assert render("x") == "'none' "
    (templates / "x.js").write_text("let a = 1 < 2;", encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(b"let a = 1 < 2;").digest()).decode()
    assert render("x") == f"'sha256-{digest}' let a = 1 < 2;"


def test_numbers() -> None:
    assert (number(12345), percent(0.1234), score(0.5), score(None)) == (
        "12,345",
        "12.3%",
        "0.5000",
        "–",
    )
