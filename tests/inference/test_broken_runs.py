import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.inference.conftest import Run, check_error

Damage = Callable[[Path], Any]


def edit(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Change what mtl.json says."""

    def go(model: Path) -> None:
        about = json.loads((model / "mtl.json").read_text())
        change(about)
        (model / "mtl.json").write_text(json.dumps(about))

    return go


def rewrite(name: str, content: bytes) -> Damage:
    return lambda model: (model / name).write_bytes(content)


def cut(name: str) -> Damage:
    """Keep the first half of a file."""

    def go(model: Path) -> None:
        whole = (model / name).read_bytes()
        (model / name).write_bytes(whole[: len(whole) // 2])

    return go


def reshape(model: Path) -> None:
    file = model / "head-ner.safetensors"
    weights = load_file(file)
    save_file({k: torch.cat([v, v]) for k, v in weights.items()}, file)


def rename(model: Path) -> None:
    file = model / "head-ner.safetensors"
    save_file({f"x.{k}": v for k, v in load_file(file).items()}, file)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (rewrite("mtl.json", b"{"), "mtl.json: Expected a model's description in JSON, but got"),
        (rewrite("mtl.json", b"[]"), "mtl.json: Expected a model's description in JSON, but got"),
        (rewrite("mtl.json", b"\xff"), "mtl.json: Expected a model's description in JSON"),
        (
            rewrite("mtl.json", b'{"a": 1}'),
            "mtl.json: Expected a model's description in JSON, but it",
        ),
        (
            edit(lambda m: m.update(format=9)),
            "mtl.json: Expected format 1 or an earlier one, but got 9; a newer",
        ),
        (edit(lambda m: m["trunk"].pop("stride")), "mtl.json: Expected `trunk.stride` to be given"),
        (edit(lambda m: m.update(tasks={})), "mtl.json: Expected `tasks` to have one"),
        (edit(lambda m: m["tasks"]["ner"].pop("type")), "mtl.json: Expected `tasks.ner.type` to"),
        (edit(lambda m: m["tasks"]["ner"].update(type="x")), "text_classification, token_classi"),
        (
            edit(lambda m: m["tasks"]["ner"]["head"].update(x=1)),
            "mtl.json: Expected `tasks.ner.",
        ),
        (edit(lambda m: m["tasks"]["ner"]["state"].pop("labels")), "but one has no 'labels'"),
        (
            rewrite("head-ner.safetensors", b"x" * 99),
            "head-ner.safetensors: Expected a safetensors",
        ),
        (cut("head-ner.safetensors"), "head-ner.safetensors: Expected a safetensors file"),
        (lambda m: (m / "head-ner.safetensors").unlink(), "head-ner.safetensors: the head's weig"),
        (reshape, "head-ner.safetensors: the head's weights do not fit: 'linear.weight' has shape"),
        (rename, "head-ner.safetensors: the head's weights do not fit: "),
        (cut("model.safetensors"), "the trunk cannot be loaded: "),
        (rewrite("config.json", b"{"), "the trunk cannot be loaded: "),
        (lambda m: (m / "model.safetensors").unlink(), "the trunk cannot be loaded: "),
        (lambda m: (m / "tokenizer.json").unlink(), "the trunk cannot be loaded: "),
    ],
)
def test_damage(mtl: Run, run: Path, damage: Damage, message: str) -> None:
    damage(run / "model")
    check_error(mtl("predict", run, "--text", "a"), message)


def test_a_damaged_run_gets_no_report(mtl: Run, run: Path) -> None:
    reshape(run / "model")
    check_error(mtl("evaluate", run), "the head's weights do not fit")
    assert not list(run.glob("evaluation*"))


@pytest.mark.parametrize("command", [["predict", "--text", "a"], ["evaluate"]])
def test_no_run_and_a_run_that_ended_early(mtl: Run, run: Path, command: list[str]) -> None:
    check_error(
        mtl(command[0], run / "no", *command[1:]), f"'{run}/no' to be a run", "no such folder"
    )
    (run / "model").rename(run / "elsewhere")
    message = "continue it with resume=RUN"
    check_error(mtl(command[0], run, *command[1:]), f"Expected '{run}' to be", message)
