"""Pictures of a run's report for the docs, in Chromium: on a desk, on a phone, in the dark.

python scripts/screenshots.py outputs/RUN docs/images
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

SHOTS = {
    "desktop": (860, 720, "light"),
    "phone": (380, 720, "light"),
    "dark": (860, 720, "dark"),
}
"""Width, height and color scheme of each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--section", default="", help="what to scroll to, such as #task-1")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    address = (asked.run / "report.html").resolve().as_uri()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, height, scheme) in SHOTS.items():
            size = {"width": width, "height": height}
            page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
            page.goto(address + asked.section)
            page.screenshot(path=asked.folder / f"report-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
