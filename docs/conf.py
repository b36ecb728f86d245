"""How Sphinx builds the pages of this folder, strictly: ``make docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from site_reference import PAGES, write_reference  # noqa: E402

from mtl import __version__  # noqa: E402

project = "mtl"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "notebooks/.ipynb_checkpoints"]
html_theme = "furo"
html_title = f"mtl {__version__}"
html_show_sphinx = False
html_show_copyright = False
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["misc.highlighting_failure"]  # JSON with "…" in it

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
PAGE = re.compile(r"^- \[[^\]]+\]\(([\w/.-]+)\.(?:md|ipynb)\)", re.MULTILINE)


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Make the lists of links of the first page the site's table of contents, too."""
    del app
    if page != "index":
        return
    parts = SECTION.split(source[0])[1:]
    contents = {
        title: PAGE.findall(text) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    contents["Reference"] = [f"reference/{name}" for name in PAGES]
    for title, pages in contents.items():
        lines = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```\n"


def setup(app: Sphinx) -> None:
    """Join the build."""
    app.connect("builder-inited", lambda app: write_reference(HERE / "reference"))
    app.connect("source-read", add_contents)
