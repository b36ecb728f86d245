"""Imports point one way: the layers of docs/design.md, held by a walk over the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mtl"

FOUNDATION = {
    "errors",
    "files",
    "types",
    "registry",
    "layout",
    "secrets",
    "config",
    "labels",
    "shipped",
}
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "secrets": set(),
    "files": set(),
    "shipped": set(),
    "registry": {"errors"},
    "types": set(),
    "layout": {"types"},
    "trunk": FOUNDATION,
    "heads": FOUNDATION,
    "metrics": FOUNDATION,
    "data": FOUNDATION,
    "labels": {"errors"},
    "config": {"errors", "registry", "secrets"},
    "launch": {"errors", "files", "config"},
    "search": {"errors", "files", "config"},
    "tasks": FOUNDATION | {"trunk", "heads", "metrics", "data"},
}
BELOW["reporting"] = BELOW["tasks"] | {"tasks", "shipped"}
BELOW["inspection"] = BELOW["reporting"] | {"reporting"}
BELOW["training"] = BELOW["reporting"] | {"reporting", "launch", "inspection", "search"}
BELOW["inference"] = BELOW["training"] | {"training"}
BELOW["serving"] = BELOW["inference"] | {"inference"}
BELOW["export"] = BELOW["inference"] | {"inference"}
BELOW["cli"] = BELOW["serving"] | {"serving", "export"}
BELOW["train.py"] = {"cli"}
"""What each part may import, besides itself."""

LAZY = {"config": {"tasks", "data", "trunk", "training"}}
"""What a part may import inside functions only, to check names against what is registered."""

HEAVY = ("wandb", "hydra", "peft", "transformers", "datasets", "lightning")


def sources() -> list[Path]:
    return [*sorted(PACKAGE.rglob("*.py")), ROOT / "train.py"]


def part_of(path: Path) -> str:
    inside = path.relative_to(ROOT).parts
    return inside[1].removesuffix(".py") if inside[0] == "mtl" else inside[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, *, top_level: bool | None = None) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of each import; those for the type checker are left out."""
    tops = set(_outside_functions(tree(path)))
    hidden = set(_for_type_checkers(tree(path)))
    for node in ast.walk(tree(path)):
        if node in hidden or (top_level is not None and (node in tops) != top_level):
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            names = [f"{module}.{a.name}" for a in node.names] if module == "mtl" else [module]
            yield from ((node.lineno, name) for name in names)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _outside_functions(child)


def _for_type_checkers(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from ast.walk(child)


def own(path: Path, *, top_level: bool | None = None) -> list[tuple[str, str]]:
    """Return (place, part) of each of the package's own imports."""
    return [
        (f"{path.relative_to(ROOT)}:{line}", name.split(".")[1])
        for line, name in imports(path, top_level=top_level)
        if name.startswith("mtl.") and name != "mtl.__version__"
    ]


def test_every_part_has_a_place() -> None:
    found = {part_of(p) for p in sources()} - {"__init__"}
    assert found <= set(BELOW), "say in BELOW what the new part may import"


@pytest.mark.parametrize("part", BELOW)
def test_imports_point_one_way(part: str) -> None:
    allowed = BELOW[part] | {part}
    wrong = [
        f"{place} imports {target}"
        for path in sources()
        if part_of(path) == part
        for place, target in own(path)
        if target not in allowed | LAZY.get(part, set())
    ]
    assert not wrong


@pytest.mark.parametrize("part", LAZY)
def test_some_imports_are_lazy(part: str) -> None:
    wrong = [
        f"{place} imports {target} at the top"
        for path in sources()
        if part_of(path) == part
        for place, target in own(path, top_level=True)
        if target not in BELOW[part] | {part}
    ]
    assert not wrong


def test_the_walk_sees_what_it_should(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import mtl.data.plan\n"
        "from mtl import tasks\n"
        "if TYPE_CHECKING:\n"
        "    from mtl.cli import main\n"
        "def f():\n"
        "    from mtl.trunk.load import load_trunk\n",
        encoding="utf-8",
    )
    assert [name for _, name in imports(file, top_level=True)] == ["mtl.data.plan", "mtl.tasks"]
    assert [name for _, name in imports(file, top_level=False)] == ["mtl.trunk.load"]


def test_the_foundation_is_light() -> None:
    """errors and registry bring nothing heavy; the plan, no torch."""
    code = (
        "import sys, mtl.errors, mtl.registry, mtl.data.plan, mtl.data.words; "
        f"print(sorted({ {'torch', *HEAVY} } & {{m.split('.')[0] for m in sys.modules}}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("part", ["errors", "types", "registry", "layout", "trunk", "heads"])
def test_heavy_libraries_are_imported_late(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name} at the top"
        for path in sources()
        if part_of(path) == part
        for line, name in imports(path, top_level=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong


QUICK = {
    "train.py --help": ("train.py", "--help"),
    "mtl train --help": ("-m", "mtl.cli", "train", "--help"),
    "train.py --cfg job": ("train.py", "--cfg", "job", "debug=fast"),
    "mtl --help": ("-m", "mtl.cli", "--help"),
    "mtl predict --help": ("-m", "mtl.cli", "predict", "--help"),
}
LIBRARIES = {
    *("torch", "numpy", "pyarrow", "pandas", "scipy", "sklearn", "sympy", "matplotlib"),
    *("torchmetrics", "lightning", "transformers", "tokenizers", "datasets", "peft", "wandb"),
}
"""What takes long to import."""
COMPOSING = {"train.py --cfg job"}
"""They check names against what is registered, so they import the task types."""


@pytest.mark.parametrize("name", [name for name in QUICK if name not in COMPOSING])
def test_help_imports_nothing_that_takes_long(name: str) -> None:
    assert not imported(*QUICK[name]) & {*LIBRARIES, "hydra"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMPOSING))
def test_composing_imports_no_trainer(name: str) -> None:
    assert not imported(*QUICK[name]) & {"lightning", "datasets", "wandb", "peft"}


OTHERS = {"scipy", "sympy", "matplotlib", "pandas", "sklearn", "accelerate", "seqeval"}
"""What our libraries import where it is installed, and nothing of ours needs."""


def test_no_part_asks_for_what_it_does_not_need() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources()
        for line, name in imports(path)
        if name.partition(".")[0] in OTHERS
    ]
    assert not wrong


PLAIN = """
import runpy, sys
from importlib.machinery import PathFinder

hidden = {hidden!r}

class Plain(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context):
        found = super().find_distributions(context)
        return (d for d in found if d.metadata["Name"].replace("-", "_") not in hidden)

sys.meta_path = [Plain if finder is PathFinder else finder for finder in sys.meta_path]
sys.path.insert(0, ".")
sys.argv[0] = "train.py"
try:
    runpy.run_path("train.py", run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
assert not hidden & {{name.partition(".")[0] for name in sys.modules}}
"""
"""Runs ``train.py`` as if some packages were not installed."""


@pytest.mark.slow
def test_a_plain_installation_trains_without_the_packages_of_other_extras(tmp_path: Path) -> None:
    hidden = {"scipy", "matplotlib", "sklearn", "scikit_learn", "accelerate", "seqeval"}
    command = (f"hydra.run.dir={tmp_path / 'run'}", "logger=none", "trainer.max_steps=1")
    less = [f"tasks.{task}.data.max_examples=20" for task in ("ner", "sentiment")]
    code = PLAIN.format(hidden=hidden)
    done = subprocess.run(
        [sys.executable, "-c", code, *command, *less], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "metrics.json").exists()


def imported(*command: str) -> set[str]:
    """Return the top-level packages that a command imports, as the interpreter itself lists."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
