"""One run for all tests: NER, sentiment and a rating on a tiny random Llama, two steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.cli import main
from tests import helpers
from train import main as train

COLUMNS = "{text: body, tokens: words, labels: ner_tags}"
RATING = """\
# @package tasks.rating
type: text_classification
columns: {text: body, label: stars}
options: {problem: regression}
"""
SENTENCES = [
    ("Ines Talbot liked the soup .", "B-PER I-PER O O O O", "positive", 4.5),
    ("The Lantern in Brackwater was cold .", "O B-ORG O B-LOC O O O", "negative", 1.0),
    ("Okonkwo & Sons sold the mill .", "B-ORG I-ORG I-ORG O O O O", "neutral", 3.0),
    ("Nobody at the Lantern asked why .", "O O O B-ORG O O O", "negative", 2.0),
    ("We loved Skerrow and its harbour !", "O O B-LOC O O O O", "positive", 5.0),
    ("The pump ran for 1,204 hours .", "O O O O O O O", "neutral", 3.5),
]

Run = Callable[..., tuple[int, str, str]]


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Some rows with the columns that the run was trained on; each text is another one."""
    found = []
    for number in range(start, start + count):
        text, tags, label, stars = SENTENCES[number % len(SENTENCES)]
        words = [*text.split(), *["indeed"] * (number // len(SENTENCES))]
        labels = [*tags.split(), *["O"] * (number // len(SENTENCES))]
        row = {"body": " ".join(words), "words": words, "ner_tags": labels}
        found.append({"id": f"r{number}", **row, "sentiment": label, "stars": stars})
    return found


def write_jsonl(path: Path, items: list[dict[str, Any]]) -> Path:
    """Write a JSON object a line."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    base = tmp_path_factory.mktemp("trained")
    for split, part in (("train", rows(12)), ("validation", rows(6, 2)), ("test", rows(8, 4))):
        write_jsonl(base / f"{split}.jsonl", part)
    (base / "conf" / "task").mkdir(parents=True)
    (base / "conf" / "task" / "rating.yaml").write_text(RATING, encoding="utf-8")
    trunk = helpers.save_tiny(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    names = ("ner", "sentiment", "rating")
    code = train(
        [
            f"task={','.join(names)}",
            "--config-dir",
            str(base / "conf"),
            *(f"tasks.{name}.data.source={base}" for name in names),
            f"tasks.ner.columns={COLUMNS}",
            "tasks.sentiment.columns.text=body",
            "trunk=hf",
            f"trunk.path={trunk}",
            "head.lr=0.3",
            "batching.examples=8",
            "trainer.max_steps=2",
            "trainer.threads=1",
            "trainer.progress=false",
            "logger=none",
            f"hydra.run.dir={base / 'run'}",
        ]
    )
    assert code == 0
    return base / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed at will."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def mtl(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `mtl` and return exit code, standard output and standard error."""

    def go(*arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return go


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave PyTorch's settings as they were."""
    yield
    torch.use_deterministic_algorithms(False)


def check_error(result: tuple[int, str, str], *parts: Any) -> None:
    """Exit code 2, nothing on standard output, one sentence on standard error."""
    code, out, err = result
    assert (code, out) == (2, ""), result
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert str(part) in err
