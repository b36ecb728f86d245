"""Names filed once and found again."""

from __future__ import annotations

import pytest

from mtl.errors import ConfigError
from mtl.registry import Registry


@pytest.fixture
def shapes() -> Registry[type]:
    found: Registry[type] = Registry("shape")
    for name in ("square", "dot", "line"):
        found.register(name)(type(name, (), {}))
    return found


def test_a_registered_class_is_returned_as_it_is(shapes: Registry[type]) -> None:
    class Circle: ...

    assert shapes.register("circle")(Circle) is Circle
    assert shapes.get("circle") is Circle
    assert "circle" in shapes
    assert len(shapes) == 4


def test_names_come_in_order(shapes: Registry[type]) -> None:
    assert list(shapes) == ["dot", "line", "square"]


def test_a_name_is_taken_once(shapes: Registry[type]) -> None:
    with pytest.raises(AssertionError, match="shape 'dot' is registered twice"):
        shapes.register("dot")(int)
    assert shapes.get("dot") is not int


def test_an_unknown_name_is_a_sentence(shapes: Registry[type]) -> None:
    with pytest.raises(ConfigError, match=r"^Expected `shape` to be one of \{dot, line, square\}"):
        shapes.get("cube")
    with pytest.raises(ConfigError) as caught:
        shapes.get("squar", "figure.shape")
    assert str(caught.value) == (
        "Expected `figure.shape` to be one of {dot, line, square}, but got 'squar'. "
        "Did you mean 'square'?"
    )


def test_nothing_is_registered() -> None:
    empty: Registry[int] = Registry("thing")
    assert list(empty) == []
    assert "x" not in empty
    with pytest.raises(ConfigError, match=r"\{\}"):
        empty.get("x")
