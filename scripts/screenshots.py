"""Pictures of a run for the docs: its report, its closing tables, its loggers, its page.

``python scripts/screenshots.py RUN docs/images [--section '#task-1'] [--only report ...]``

A terminal is one of tmux's, 80 columns wide; all pictures are taken in Chromium. RUN should have
been trained with ``logger=[wandb,tensorboard]``.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPORT = {
    "desktop": (860, 720, "light"),
    "phone": (380, 720, "light"),
    "dark": (860, 720, "dark"),
}
"""Width, height and color scheme of each picture of a report."""
SHOWN = "train/.*/loss|val/.*/(f1|acc)"
"""Metrics of viewers that show a few at a time."""
TEXT = (
    "Ines Talbot left Brackwater for Lisbon on Monday, and nobody at Halden Steel was sorry: the "
    "new office is a lovely place, and the soup is warm."
)
PAGE = """<meta charset="utf-8"><style>{stylesheet}
body {{ background: {background}; color: {foreground}; margin: 12px; }}
pre {{ display: inline-block; margin: 0; padding: 8px; }}
pre {{ font: 13px/1.25 "DejaVu Sans Mono", monospace; }}
</style><pre>{code}</pre>"""


def report(browser: Browser, asked: argparse.Namespace) -> None:
    """Take the report on a desk, on a phone, and in the dark."""
    address = (asked.run / "report.html").resolve().as_uri()
    for name, (width, height, scheme) in REPORT.items():
        size = {"width": width, "height": height}
        page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
        page.goto(address + asked.section)
        page.screenshot(path=asked.folder / f"report-{name}.png")


def transfer(browser: Browser, asked: argparse.Namespace) -> None:
    """Take the heat map of a transfer table."""
    page = browser.new_context(viewport={"width": 860, "height": 400}).new_page()
    page.goto((asked.run / "transfer.html").resolve().as_uri())
    page.screenshot(path=asked.folder / "transfer.png")


def terminal(browser: Browser, asked: argparse.Namespace) -> None:
    """Take the run again in a terminal, under way and at its end."""
    import yaml

    typed = yaml.safe_load((asked.run / ".hydra" / "overrides.yaml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        own = [text for text in typed if not text.startswith("logger")]
        again = ["train.py", *own, f"hydra.run.dir={folder}/run", "logger=none"]
        with screen(shlex.join([sys.executable, *again]), 80, 52) as shown:
            picture(browser, shown("best"), asked.folder / "terminal-training.png")
            picture(browser, shown("Then:"), asked.folder / "terminal.png")


def leet(browser: Browser, asked: argparse.Namespace) -> None:
    """Take what W&B's own viewer shows of the run in a terminal."""
    viewer = [sys.executable, "-m", "wandb", "leet", str(asked.run / "wandb")]
    with screen(shlex.join(viewer), 120, 36) as shown:
        shown("Runs", "Enter")
        shown("System", "C-_", "/", SHOWN, "Enter")  # It keeps the filter of the last time.
        picture(browser, shown("filtered", wait=3), asked.folder / "leet.png")


@contextmanager
def screen(command: str, width: int, height: int) -> Iterator[Callable[..., str]]:
    """Run a command in a terminal; yields what returns its screen, with its escape codes."""
    name = "screenshots"
    size = ["-x", str(width), "-y", str(height)]
    subprocess.run(["tmux", "new-session", "-d", "-s", name, *size, f"{command}; cat"], check=True)
    capture = ["tmux", "capture-pane", "-p", "-e", "-t", name]

    def shown(until: str, *keys: str, wait: float = 1) -> str:
        for _ in range(180):
            time.sleep(wait)
            found = subprocess.run(capture, check=True, capture_output=True, text=True).stdout
            if until in found:
                break
        else:
            raise TimeoutError(f"the terminal never showed {until!r}:\n{found}")
        for key in keys:
            subprocess.run(["tmux", "send-keys", "-t", name, key], check=True)
            time.sleep(wait)
        return found

    try:
        yield shown
    finally:
        subprocess.run(["tmux", "kill-session", "-t", name], check=False)


def picture(browser: Browser, text: str, file: Path) -> None:
    """Draw what a terminal shows."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    lines = text.rstrip().splitlines()
    width = max(Text.from_ansi(line).cell_len for line in lines)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=width, file=nowhere)
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=True)
    page = browser.new_context(viewport={"width": 40, "height": 40}).new_page()
    page.set_content(console.export_html(theme=MONOKAI, code_format=PAGE))
    page.locator("pre").screenshot(path=file)


def tensorboard(browser: Browser, asked: argparse.Namespace) -> None:
    """Take TensorBoard's page of a run."""
    size = {"width": 1100, "height": 720}
    with serving("tensorboard.main", "--logdir", str(asked.run)) as address:
        page = browser.new_context(viewport=size).new_page()
        page.goto(f"{address}/#timeseries")
        page.get_by_text("Settings").first.click()
        page.get_by_role("combobox", name="Filter tags (regex)").fill(SHOWN)
        page.keyboard.press("Escape")
        page.wait_for_timeout(5000)
        page.screenshot(path=asked.folder / "tensorboard.png")


def served(browser: Browser, asked: argparse.Namespace) -> None:
    """Take the page of `mtl serve`, with a text that is answered."""
    size = {"width": 860, "height": 720}
    with serving("mtl.cli", "serve", str(asked.run)) as address:
        page = browser.new_context(viewport=size).new_page()
        page.goto(address)
        page.locator("textarea").first.fill(asked.text)
        page.get_by_role("button", name="Answer").click()
        page.get_by_text("Done.").wait_for()
        page.screenshot(path=asked.folder / "serve.png", full_page=True)


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """Run a Python module that serves pages, and is told the port; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", *words, "--port", str(port)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            for _ in range(120):
                time.sleep(0.5)
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    continue
            yield address
        finally:
            process.terminate()
            process.wait()


PICTURES: dict[str, Callable[[Browser, argparse.Namespace], None]] = {
    "report": report,
    "terminal": terminal,
    "leet": leet,
    "tensorboard": tensorboard,
    "serve": served,
    "transfer": transfer,
}
OF_A_RUN = [name for name in PICTURES if name != "transfer"]
"""What is taken unless it is said; the table is in the folder of ``mtl transfer``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--section", default="", help="what of the report, such as #task-1")
    parser.add_argument("--text", default=TEXT, help="what the page of mtl serve is asked")
    parser.add_argument("--only", nargs="*", choices=list(PICTURES), default=OF_A_RUN)
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in asked.only:
            PICTURES[name](browser, asked)
        browser.close()


if __name__ == "__main__":
    main()
