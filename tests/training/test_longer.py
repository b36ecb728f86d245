"""A finished run goes on when its end is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import Config
from mtl.training.module import MultiTaskModule
from mtl.training.optim import SCHEDULES, rate
from mtl.training.run import train
from tests.training.site import Site, change, differing, last_weights, metrics, saved

SHORT, LONG = 5, 9


def run_config(site: Site, **changes: Any) -> Config:
    """At a constant rate, a run does not know where it will end."""
    options = {
        "schedule__name": "constant",
        "schedule__warmup": 0.0,
        "trainer__max_steps": SHORT,
        "monitor": "val/rating/rmse",
    }
    return site.config("ner", "rating", **{**options, **changes})


def go_on(cfg: Config, run: Path, **changes: Any) -> dict[str, float]:
    for key, value in {"resume": str(run), **changes}.items():
        change(cfg, key.replace("__", "."), value)
    return train(cfg, run)


@pytest.mark.parametrize("interval", [3, 5], ids=["between validations", "at a validation"])
def test_equals_the_run_that_was_long_from_the_start(
    site: Site, tmp_path: Path, interval: int
) -> None:
    """All but the validation at the former end, where none is due on the way."""
    cfg = run_config(site, trainer__val_check_interval=interval)
    train(cfg, tmp_path / "run")
    go_on(cfg, tmp_path / "run", trainer__max_steps=LONG)
    whole = run_config(site, trainer__val_check_interval=interval, trainer__max_steps=LONG)
    train(whole, tmp_path / "whole")
    assert not differing(last_weights(tmp_path / "run"), last_weights(tmp_path / "whole"))
    if interval == SHORT:
        assert not differing(saved(tmp_path / "run"), saved(tmp_path / "whole"))
        assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_more_epochs(site: Site, tmp_path: Path) -> None:
    cfg = run_config(site, trainer__max_steps=None, trainer__max_epochs=1)
    train(cfg, tmp_path / "run")
    go_on(cfg, tmp_path / "run", trainer__max_epochs=2)
    train(run_config(site, trainer__max_steps=None, trainer__max_epochs=2), tmp_path / "whole")
    assert not differing(last_weights(tmp_path / "run"), last_weights(tmp_path / "whole"))
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_every_further_step_has_the_longer_schedules_rate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shorter one ended at zero; no step is taken at that rate."""
    taken: list[tuple[int, float]] = []
    original = MultiTaskModule.training_step

    def recording(self: MultiTaskModule, step: Any, batch_idx: int) -> None:
        taken.append((step.number, self.trainer.optimizers[0].param_groups[0]["lr"]))
        original(self, step, batch_idx)

    monkeypatch.setattr(MultiTaskModule, "training_step", recording)
    cfg = run_config(site, schedule__name="linear", schedule__warmup=0.2)
    train(cfg, tmp_path)
    go_on(cfg, tmp_path, trainer__max_steps=LONG)
    linear = SCHEDULES.get("linear")
    ends = [SHORT] * SHORT + [LONG] * (LONG - SHORT)
    assert [number for number, _ in taken] == list(range(LONG))
    expected = [cfg.trunk.lr * rate(n, end, 0.2, linear) for n, end in enumerate(ends)]
    assert [lr for _, lr in taken] == pytest.approx(expected)


def test_a_run_that_stopped_early_is_finished(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = run_config(
        site,
        seed=2,
        head__lr=0.1,
        trainer__max_steps=12,
        trainer__val_check_interval=3,
        callbacks__early_stopping__patience=1,
    )
    train(cfg, tmp_path)
    before = last_weights(tmp_path)
    capsys.readouterr()
    go_on(cfg, tmp_path, trainer__max_steps=20)
    assert "is finished after" in "".join(capsys.readouterr())
    assert not differing(last_weights(tmp_path), before)
