"""That the payloads would run if they were believed, and what runs in spite of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from mtl.secrets import HIDDEN
from tests.badinput.cases_hostile import AUTO, SOURCE
from tests.badinput.damage import all_of, code, drop, trunk
from tests.badinput.harness import Case, Result, check, mtl, train

RAN = Path("it-ran")
KEY = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_abcdefghijklmnopqrstuvwx"
Run = Callable[[Case], Result]


def test_the_pickle_runs_where_it_is_believed(folder: Path) -> None:
    code("evil.ckpt")(folder)
    with pytest.raises(pickle.UnpicklingError):
        torch.load("evil.ckpt", weights_only=True)
    assert not RAN.exists()
    torch.load("evil.ckpt", weights_only=False)["state_dict"].close()
    assert RAN.exists()


def test_the_tag_runs_where_it_is_believed(folder: Path) -> None:
    del folder
    yaml.unsafe_load("!!python/object/apply:os.mkdir [it-ran]")
    assert RAN.exists()


def test_code_beside_a_known_architecture_is_left_alone(folder: Path, run: Run) -> None:
    case = Case("", train(), (), {"trunk/own.py": SOURCE}, damage=trunk(auto_map=AUTO))
    case.prepare(folder)
    assert run(case).code == 0
    assert not RAN.exists()


def test_trusted_code_runs_and_is_named(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder / "tmp"))
    argv = train("trunk.trust_remote_code=true")
    damage = trunk(model_type="own", auto_map=AUTO)
    case = Case("", argv, (), {"trunk/own.py": SOURCE}, damage=damage)
    case.prepare(folder)
    result = run(case)
    assert "Python code that 'trunk' brings is run" in caplog.text
    assert RAN.exists()
    assert result.code == 2  # what it made is no model


OWN = """\
from transformers import LlamaConfig, LlamaModel

open("it-ran", "w").close()


class OwnConfig(LlamaConfig):
    model_type = "own"


class Own(LlamaModel):
    config_class = OwnConfig
"""


@pytest.mark.parametrize("command", [("predict", "out", "--text", "Ines."), ("evaluate", "out")])
def test_a_run_with_code_of_its_own_is_asked_about_again(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """What was trusted in training may have been changed since, or be another's run."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder / "tmp"))
    auto = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.Own"}
    argv = train("trunk.trust_remote_code=true")
    case = Case("", argv, (), {"trunk/own.py": OWN}, damage=trunk(model_type="own", auto_map=auto))
    case.prepare(folder)
    trained = run(case)
    assert trained.code == 0, trained.err
    assert "mtl evaluate out --trust-remote-code" in trained.out
    RAN.unlink()
    says = ("out/model", "Python code of its own", "add `--trust-remote-code`", "Read the code")
    asked = Case("", mtl(*command), says, never=("trunk.trust_remote_code",))
    check(asked, run(asked))
    assert not RAN.exists()
    trusted = run(Case("", mtl(*command, "--trust-remote-code"), ()))
    assert trusted.code == 0, trusted.err
    assert RAN.exists()


def test_a_pickle_is_not_in_the_way_of_a_random_start(folder: Path, run: Run) -> None:
    damage = all_of(drop("trunk/model.safetensors"), code("trunk/pytorch_model.bin"))
    case = Case("", train("trunk.pretrained=false"), (), damage=damage)
    case.prepare(folder)
    assert run(case).code == 0
    assert not RAN.exists()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def holding(folder: Path, secret: str) -> list[str]:
    """Return the files below a folder that hold a secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes()]


GIVEN = (
    f"+hydra.job.env_set.WANDB_API_KEY={KEY}",
    "logger.wandb.group=${oc.env:HF_TOKEN}",
    f"logger.wandb.project=of-{TOKEN}",
    "logger=[wandb,csv,tensorboard]",
)


@pytest.mark.usefixtures("secrets")
def test_no_secret_reaches_a_run(folder: Path, run: Run) -> None:
    argv = tuple(text for text in train(*GIVEN) if text != "logger=none")
    result = run(Case("", argv, ()))
    assert result.code == 0, result.err
    assert any((folder / "out/wandb").rglob("*.wandb"))
    overrides = (folder / "out/.hydra/hydra.yaml").read_text()
    assert f"WANDB_API_KEY: {HIDDEN}" in overrides.replace("'", "")
    for secret in (KEY, TOKEN):
        assert holding(folder / "out", secret) == []
        assert secret not in result.out + result.err


@pytest.mark.usefixtures("secrets")
def test_no_secret_reaches_a_sweep(folder: Path, run: Run) -> None:
    result = run(Case("", train(*GIVEN[:3], "-m", "seed=1,2", "hydra.sweep.dir=out"), ()))
    assert result.code == 0, result.err
    assert (folder / "out/multirun.yaml").is_file()
    for secret in (KEY, TOKEN):
        assert holding(folder / "out", secret) == []
        assert secret not in result.out + result.err


@pytest.mark.usefixtures("secrets")
def test_no_secret_is_printed_with_an_error(run: Run) -> None:
    result = run(Case("", train(f"trunk.path=https://me:{TOKEN}@host/model"), ()))
    assert result.code == 2
    assert TOKEN not in result.err
    assert HIDDEN in result.err


def test_a_pickle_in_the_dataset_cache_is_not_believed(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    cache = folder / "tmp" / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    argv = train("tasks.ner.data.source=hub:data")
    datasets.disable_progress_bars()
    assert run(Case("", argv, ())).code == 0
    tables = [path for path in cache.rglob("*.arrow") if path.is_file()]
    assert tables
    for path in tables:
        code(str(path.relative_to(folder)))(folder)
    argv = tuple(a for a in argv if not a.startswith("hydra.run.dir"))
    result = run(Case("", (*argv, "hydra.run.dir=again"), ()))
    assert result.code == 2
    assert "tasks.ner.data.source" in result.err
    assert "\n" not in result.err.strip()
    assert not RAN.exists()
    assert not (folder / "again").exists()
