"""Names filed once and found again."""

from __future__ import annotations

import sys
from pathlib import Path

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
    with pytest.raises(ConfigError, match="`shape` 'dot' to be registered once, but got it twice"):
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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package ``good_shapes`` that brings a circle and a module that registers."""
    info = tmp_path / "good_shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: good-shapes\nVersion: 1.0\n")
    (tmp_path / "good_shapes.py").write_text("class Circle: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return info / "entry_points.txt"


def test_an_entry_point_brings_a_name(package: Path) -> None:
    package.write_text("[mtl.shapes]\ncircle = good_shapes:Circle\n")
    shapes: Registry[type] = Registry("shape", "mtl.shapes")
    shapes.register("dot")(int)
    assert list(shapes) == ["circle", "dot"]
    assert shapes.get("circle").__name__ == "Circle"
    assert len(Registry("other", "mtl.others")) == 0


def test_a_module_may_register_by_decorator(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: Registry[type] = Registry("shape", "mtl.shapes")
    monkeypatch.setattr("mtl.registry.SHAPES", shapes, raising=False)
    code = "from mtl.registry import SHAPES\n@SHAPES.register('oval')\nclass Oval: ...\n"
    (package.parent.parent / "more_shapes.py").write_text(code)
    package.write_text("[mtl.shapes]\nmore = more_shapes\n")
    assert list(shapes) == ["oval"]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ("circle = no_shapes:Circle", "to import, but got ModuleNotFoundError"),
        ("circle = good_shapes:Oval", "to import, but got AttributeError"),
        ("dot = good_shapes:Circle", "to bring a new name, but 'dot' is taken"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(package: Path, points: str, says: str) -> None:
    package.write_text(f"[mtl.shapes]\n{points}\n")
    shapes: Registry[type] = Registry("shape", "mtl.shapes")
    shapes.register("dot")(int)
    with pytest.raises(ConfigError) as error:
        list(shapes)
    message = str(error.value)
    assert says in message
    assert "package 'good-shapes', entry point `" in message
    assert "pip uninstall good-shapes" in message
    assert "\n" not in message
