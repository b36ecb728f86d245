"""Every command of docs/recipes/ runs, in the order of its page, on small data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from mtl.cli import main as mtl
from mtl.cli.train import main as train
from tests.helpers import llama_config, save_tiny, shape
from tests.recipes.files import rows, write_all
from tests.trunk.families import save_family

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
EXPERIMENTS = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
SHORT = [
    "trainer.max_steps=2",
    "trainer.limit_val_examples=6",
    "trainer.progress=false",
    "logger=none",
]
ENCODERS = ("MODEL", "answerdotai/ModernBERT-base")


def commands(page: Path) -> list[str]:
    """Return the commands of a page's ``sh`` blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def models(tokenizers: dict[str, Any], tmp_path: Path) -> dict[str, Path]:
    """A random encoder, decoder and encoder-decoder in place of the ones that pages name."""
    folder = tmp_path / "models"
    long = {"max_position_embeddings": 512}
    return {
        "encoder": save_tiny(folder / "b", BertConfig(**shape(**long)), tokenizers["wordpiece"]),
        "decoder": save_tiny(folder / "l", llama_config(**long), tokenizers["bpe"]),
        "t5": save_family("t5", folder, tokenizers["metaspace"]),
    }


def shortened(command: str, models: dict[str, Path]) -> list[str]:
    """Return a command's arguments, with small models and few steps."""
    for name in ENCODERS:
        command = re.sub(rf"(?<=[= ]){re.escape(name)}(?= |$)", str(models["encoder"]), command)
    arguments = shlex.split(command)
    own = {"lora_1b": "decoder", "summarization_t5": "t5"}
    found = next((a.partition("=")[2] for a in arguments if a.startswith("experiment=")), "")
    if found in own:
        arguments.append(f"trunk.path={models[own[found]]}")
    if found == "lora_1b":
        arguments += ["trainer.auto_scale_tokens=false"]
    trains = arguments[:2] in (["python", "train.py"], ["mtl", "transfer"])
    if "mtl transfer" in command:
        at = arguments.index("--output")
        return [*arguments[:at], *SHORT, *arguments[at:]]
    return [*arguments, *(SHORT if trains else [])]


def run(arguments: list[str]) -> int:
    """Run ``python train.py`` or ``mtl`` in this process."""
    if arguments[:2] == ["python", "train.py"]:
        return train(arguments[2:])
    assert arguments[0] == "mtl"
    try:
        mtl(arguments[1:])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_run(
    page: Path, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTL_DATA", str(tmp_path / "corpora"))
    for command in commands(page):
        assert run(shortened(command, models)) == 0, command


def test_every_recipe_says_what_it_needs() -> None:
    assert len(PAGES) == 12
    for page in PAGES:
        text = page.read_text("utf-8").replace("Time and memory", "Time** **Memory")
        assert all(f"**{word}" in text for word in ("Needs", "Time", "Memory")), page
        assert any(f"experiment={name}" in text for name in EXPERIMENTS), page


def test_corpora_of_recipes_are_what_their_script_writes(tmp_path: Path) -> None:
    from scripts.build_recipe_corpora import CORPORA, write

    write(tmp_path)
    for name in CORPORA:
        for path in (tmp_path / name).iterdir():
            own = ROOT / "mtl" / "data" / "bundled" / name / path.name
            assert path.read_bytes() == own.read_bytes(), own


SHARED = {"DATE", "TIME"}
"""Labels whose texts all splits have."""


@pytest.mark.parametrize("name", ["assistant", "helpdesk", "market", "street"])
def test_names_of_test_do_not_occur_in_training(name: str) -> None:
    def names(split: str) -> set[str]:
        found = set()
        for row in rows(name, split, count=240):
            words: list[str] = []
            for word, tag in [
                *zip(row["tokens"], row.get("ner_tags") or row["slots"], strict=True),
                ("", "O"),
            ]:
                if words and not tag.startswith("I-"):
                    found.add(" ".join(words).casefold())
                    words = []
                if tag != "O" and tag[2:] not in SHARED:
                    words.append(word)
        return found

    assert len(names("test")) > 4
    assert not names("test") & names("train")
