"""The page of a corpus: what it shows, and that data is never markup in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from mtl.cli.app import main
from mtl.inspection.inspect import inspect
from mtl.inspection.page import page
from tests.browser import check_page, opened
from tests.inspection.made import ROWS, corpus, write
from tests.training.site import Site

EVIL = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
VOID = {"meta", "link"}


class Seen(HTMLParser):
    """The tags of a page, all of which must be closed, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def shown(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    evil = [{"text": EVIL, "label": label} for label in ("a", "<b>c</b>")]
    made = corpus(site, folder, [*ROWS, *evil, {"text": "long " * 90, "label": "b"}], length=40)
    file = folder / "data.html"
    file.write_text(page(made, inspect(made), "mtl data <command>"), encoding="utf-8")
    return file


def test_it_shows_what_was_found(shown: Path) -> None:
    seen = Seen(shown.read_text(encoding="utf-8"))
    assert seen.open == []
    assert seen.words.count(EVIL) == 2
    for text in ("1 texts have different labels", "mtl data <command>", "<b>c</b>", "x validation"):
        assert text in seen.words


def test_data_is_not_markup(shown: Path) -> None:
    text = shown.read_text(encoding="utf-8")
    seen = Seen(text)
    assert not seen.tags & {"script", "img"}
    assert "script-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.slow
def test_it_looks_right_in_a_browser(shown: Path) -> None:
    check_page(shown)
    with opened(shown) as (browser, _):
        assert browser.title() == "Data of x"


def test_the_command_writes_it(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "train.jsonl", ROWS)
    arguments = [
        "data",
        "task=sentiment",
        f"tasks.sentiment.data.train={path}",
        "tasks.sentiment.columns={text: text, label: label}",
        "trunk=hf",
        f"trunk.path={site.trunk}",
        "--html",
    ]
    for name, code in (("data.html", 0), ("train.jsonl", 2), ("none/data.html", 2)):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, str(tmp_path / name)])
        assert (caught.value.code or 0) == code
    said = " ".join(capsys.readouterr().err.split())
    assert "Expected `--html` to end in .html or .htm, but got" in said
    assert "there is no folder" in said
    assert "mtl data task=sentiment" in (tmp_path / "data.html").read_text(encoding="utf-8")
    assert Path(path).read_text(encoding="utf-8").startswith("{")
