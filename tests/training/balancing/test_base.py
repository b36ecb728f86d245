"""Losses become one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mtl.config.schema import BalancingConfig
from mtl.training.balancing import BALANCINGS, build_balancing
from mtl.training.balancing.checks import AUTO
from tests.training.balancing.convex import descend, made

PAGE = Path(__file__).parents[3] / "docs" / "balancing.md"


def test_the_sum_is_weighted() -> None:
    balance = build_balancing({"a": 2.0, "b": 0.5, "c": 7.0}, BalancingConfig(name="sum"))
    losses = {"a": torch.tensor(3.0, requires_grad=True), "b": torch.tensor(4.0)}
    total = balance(losses)
    total.backward()
    assert total.item() == 2.0 * 3.0 + 0.5 * 4.0
    assert losses["a"].grad == torch.tensor(2.0)


def test_passes_add_up() -> None:
    balance = build_balancing({"a": 2.0, "b": 0.5}, BalancingConfig(name="sum"))
    first = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}
    second = {"b": torch.tensor(4.0)}
    whole = {"a": torch.tensor(1.0), "b": torch.tensor(6.0)}
    assert balance(first) + balance(second) == balance(whole)


@pytest.fixture
def _steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's own method, registered for one test."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert found is not None
    module = ModuleType("mtl_steady")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(found[1], str(PAGE), "exec"), module.__dict__)
    yield
    del BALANCINGS._entries["steady"], BALANCINGS._options["steady"]


@pytest.mark.usefixtures("_steady")
def test_a_method_as_the_page_writes_it() -> None:
    whole, half = made("steady", decay=0.5), made("steady", decay=0.5)
    path = descend(whole, 6)
    before, other = descend(half, 3), made("steady", decay=0.5)
    other.load_state(half.state())
    after = descend(other, 3, first=3, point=before[-1].clone().requires_grad_())
    assert torch.equal(torch.stack(before + after), torch.stack(path))
    assert float(path[-1][0]) < float(path[0][0])


def test_every_method_is_on_its_page_and_has_a_file() -> None:
    text = PAGE.read_text("utf-8")
    built_in = {name for name in BALANCINGS if f"| `{name}` |" in text}
    files = {file.stem for file in (PAGE.parents[1] / "conf" / "balancing").glob("*.yaml")}
    assert built_in == set(BALANCINGS)
    assert files == {*BALANCINGS, AUTO}
