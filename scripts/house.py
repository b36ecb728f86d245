"""Count the house: how much code there is, and how long the ways through it are.

    python scripts/house.py [--markdown] [--root FOLDER] [--static | --roads]

FOLDER is a checkout of any commit, this one by default; the counts are the same for all. How:

- **lines, code lines, median file**: of `mtl/**/*.py`. Code lines hold a token that is no comment
  and no docstring.
- **long functions**: share of functions and methods of more than 60 lines, decorators left out.
- **`Any`**: share of signatures that name it, in a parameter or the result.
- **crossing classes**: public classes at the top of a module that another module imports by name.
- **contract**: public members of `mtl.tasks.base.Task`, and those that a task type must write:
  abstract methods, and class variables without a value.
- **a sentence's road**: `python train.py task=ner` is run for one step on a CoNLL file of one
  sentence, with the bundled trunk. Functions of `mtl/` that are entered while `load_splits` reads
  the file, while `encode_split` encodes it, and while Lightning's evaluation loop validates on it,
  and that are given the datum, or give it: a text with a word of it, an array, a tensor that is no
  parameter, an object of a class in `mtl/types.py` (which may be `self`), or `val/ner/f1`; alone or
  up to three deep in lists, mappings and dataclasses. Comprehensions and lambdas do not count.
- **a key's road**: the same run with a learning rate of its own. Functions of `mtl/` that hold the
  value before the first optimizer is made: as number or text, in an argument or the result, also
  inside lists, mappings, dataclasses and sections. *Handed* counts those to which it comes as such,
  or directly inside one list, mapping or section; *held* those as well that have it somewhere
  inside a whole configuration.
- **tests**: what pytest collects.

`--roads` lists the functions of the sentence's road, file by file in the order it comes to them.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import io
import json
import os
import re
import runpy
import statistics
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LONG = 60
RATE = 0.000271828
TEXT = "0.000271828"
SENTENCE = "Ines B-PER\nTalbot I-PER\nleft O\nBrackwater B-LOC\n. O\n\n"
WORDS = ("Ines", "Talbot", "Brackwater", "val/ner/f1")
WINDOWS = {"load_splits", "encode_split"}
EVALUATION = os.path.join("loops", "evaluation_loop.py")
DEEP = 8
Function = ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(text: str, tree: ast.Module) -> int:
    """Return how many lines hold something else than comments and docstrings."""
    blank = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    kept: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank:
            kept.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr) else None
        if value is not None and isinstance(value, ast.Constant) and isinstance(value.value, str):
            kept -= set(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    return len(kept)


def names_any(function: Function) -> bool:
    """Whether a signature names `Any`."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    hints = [a.annotation for a in every if a is not None and a.annotation] + [function.returns]
    names = (n for hint in hints if hint for n in ast.walk(hint) if isinstance(n, ast.Name))
    return any(name.id == "Any" for name in names)


def crossing(trees: Mapping[Path, ast.Module]) -> int:
    """Return how many public classes another module imports."""
    homes: dict[str, set[Path]] = {}
    users: dict[str, set[Path]] = {}
    for path, tree in trees.items():
        for top in tree.body:
            if isinstance(top, ast.ClassDef) and not top.name.startswith("_"):
                homes.setdefault(top.name, set()).add(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    users.setdefault(alias.name, set()).add(path)
    return sum(bool(users.get(name, set()) - home) for name, home in homes.items())


def read_code(root: Path) -> dict[str, float]:
    """Count what can be read."""
    texts = {path: path.read_text("utf-8") for path in sorted((root / "mtl").rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, Function)]
    sizes = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions]
    lines = [text.count("\n") for text in texts.values()]
    return {
        "files": len(texts),
        "lines": sum(lines),
        "code lines": sum(code_lines(texts[path], trees[path]) for path in texts),
        "median file, lines": statistics.median(lines),
        f"functions over {LONG} lines, %": round(
            100 * sum(size > LONG for size in sizes) / len(sizes), 2
        ),
        "signatures that name `Any`, %": round(
            100 * sum(map(names_any, functions)) / len(functions), 1
        ),
        "public classes that cross files": crossing(trees),
    }


def contract() -> dict[str, int]:
    """Count the members of the task contract."""
    from mtl.tasks.base import Task

    own = [base for base in Task.__mro__ if base.__module__.startswith("mtl.")]
    annotated = {n for base in own for n in inspect.get_annotations(base)}
    members = {n for base in own for n in vars(base)} | annotated
    written = set(getattr(Task, "__abstractmethods__", ()))
    hints = {n: str(h) for base in own for n, h in inspect.get_annotations(base).items()}
    written |= {n for n in annotated if "ClassVar" in hints[n] and not hasattr(Task, n)}
    public = {n for n in members if not n.startswith("_")}
    return {
        "members of the task contract": len(public),
        "of them to be written": len({n for n in written if not n.startswith("_")}),
    }


def arguments_of(folder: Path) -> list[str]:
    """Return a command line that trains on one sentence."""
    file = folder / "one.conll"
    file.write_text(SENTENCE, "utf-8")
    return [
        "train.py",
        "task=ner",
        *(f"tasks.ner.data.{split}={file}" for split in ("train", "validation")),
        "tasks.ner.columns={tokens: 0, labels: -1}",
        f"trunk.lr={TEXT}",
        "trainer.max_steps=1",
        "trainer.accelerator=cpu",
        "trainer.progress=false",
        "logger=csv",
        f"hydra.run.dir={folder / 'run'}",
    ]


class Roads:
    """Notes which functions of `mtl/` are on the roads, as a profile function.

    Args:
        root: The checkout.
    """

    def __init__(self, root: Path) -> None:
        self.package = str(root / "mtl") + os.sep
        self.depth = 0
        self.made = False
        self.sentence: dict[CodeType, None] = {}  # In the order it comes to them.
        self.handed: set[CodeType] = set()
        self.held: set[CodeType] = set()
        self._kinds: dict[CodeType, int] = {}

    def __call__(self, frame: FrameType, event: str, result: object) -> None:
        """Note a call or a return; see :func:`sys.setprofile`."""
        code = frame.f_code
        kind = self._kinds.get(code)
        if kind is None:
            kind = self._kinds[code] = self._kind(code)
        if not kind or event not in ("call", "return"):
            return
        if kind & 2:  # It opens a window on the sentence's road.
            self.depth += 1 if event == "call" else -1
        if kind & 4:  # An optimizer: the key has arrived.
            self.made = True
        if kind & 1:
            self._note(frame, code, result if event == "return" else None)

    def _kind(self, code: CodeType) -> int:
        own = code.co_filename.startswith(self.package)
        window = own and code.co_name in WINDOWS
        window |= code.co_filename.endswith(EVALUATION) and code.co_name == "run"
        optimizer = code.co_name == "__init__" and code.co_filename.endswith("optim/optimizer.py")
        return (own and not code.co_name.startswith("<")) | window << 1 | optimizer << 2

    def _note(self, frame: FrameType, code: CodeType, result: object) -> None:
        wanted = self.depth > 0 and code not in self.sentence
        if not wanted and (self.made or code in self.handed):
            return
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & inspect.CO_VARARGS) + bool(
            code.co_flags & inspect.CO_VARKEYWORDS
        )
        values = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
        values.append(result)
        if wanted and any(carries(value, 3) for value in values):
            self.sentence[code] = None
        if self.made or code in self.handed:
            return
        if any(holds(value, 1) for value in values):
            self.handed.add(code)
        elif code not in self.held and any(holds(value, DEEP) for value in values):
            self.held.add(code)


def carries(value: object, depth: int) -> bool:
    """Whether a value is of the sentence, or has something of it inside, at most so deep."""
    if isinstance(value, str):
        return any(word in value for word in WORDS)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if name.startswith("mtl.types.") or name in ("numpy.ndarray", "torch.Tensor"):
        return True
    return depth > 0 and any(carries(inner, depth - 1) for inner in parts(value))


def holds(value: object, depth: int) -> bool:
    """Whether the key's value is a value, or inside it at most so deep."""
    if isinstance(value, float):
        return value == RATE
    if isinstance(value, str):
        return TEXT in value
    return depth > 0 and any(holds(inner, depth - 1) for inner in parts(value))


def parts(value: object) -> Iterator[object]:
    """Yield what a list, mapping, dataclass, section or node of OmegaConf has inside."""
    if type(value).__module__.startswith("omegaconf"):
        inside = vars(value).get("_content", vars(value).get("_val"))
        if inside is not value:
            yield from parts(inside) if isinstance(inside, dict | list) else [inside]
    elif isinstance(value, Mapping):
        yield from list(value.values())
    elif isinstance(value, list | tuple):
        yield from list(value)
    elif dataclasses.is_dataclass(value) or hasattr(type(value), "model_fields"):
        yield from list(getattr(value, "__dict__", {}).values())


def walk_roads(root: Path) -> Roads:
    """Train on one sentence and note the functions on the roads."""
    roads = Roads(root)
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = arguments_of(Path(folder))
        sys.setprofile(roads)
        try:
            runpy.run_path(str(root / "train.py"), run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.setprofile(None)
    return roads


def count_roads(roads: Roads) -> dict[str, int]:
    """Count the functions and files on the roads."""
    held = roads.handed | roads.held
    counts: dict[str, int] = {}
    for name, found in (
        ("a sentence's road", roads.sentence),
        ("a key's road, handed", roads.handed),
        ("a key's road, held", held),
    ):
        counts[f"{name}: functions"] = len(found)
        counts[f"{name}: files"] = len({code.co_filename for code in found})
    return counts


def list_road(roads: Roads, root: Path) -> str:
    """Return the functions on the sentence's road, file by file."""
    files: dict[str, list[str]] = {}
    for code in roads.sentence:
        name = f"{code.co_qualname}:{code.co_firstlineno}"
        files.setdefault(os.path.relpath(code.co_filename, root), []).append(name)
    return "\n".join(f"{file}\n    " + "\n    ".join(names) for file, names in files.items())


def count_tests() -> int:
    """Return how many tests there are."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"(\d+)(?:/\d+)? tests collected", told)
    return int(found[-1]) if found else 0


def count(root: Path, *, static: bool) -> dict[str, float]:
    """Count everything, in a process whose `mtl` is the checkout's."""
    counts = read_code(root)
    if not static:
        counts |= {**contract(), **count_roads(walk_roads(root)), "tests": count_tests()}
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--root", type=Path, default=here, help="a checkout (this one)")
    parser.add_argument("--markdown", action="store_true", help="a table, not JSON")
    parser.add_argument("--static", action="store_true", help="only what needs no run")
    parser.add_argument("--roads", action="store_true", help="list the sentence's road")
    given = parser.parse_args()
    root, script = given.root.resolve(), Path(__file__).resolve()
    if os.environ.get("PYTHONPATH") != str(root) or Path.cwd() != root:
        os.chdir(root)
        os.environ["PYTHONPATH"] = str(root)
        options = (a for a in sys.argv[1:] if a in ("--markdown", "--static", "--roads"))
        rest = ["--root", str(root), *options]
        os.execv(sys.executable, [sys.executable, str(script), *rest])
    with open(os.devnull, "w") as nowhere:  # What the run prints is not what is asked for.
        out, sys.stdout = sys.stdout, nowhere
        road = list_road(walk_roads(root), root) if given.roads else ""
        counts: dict[str, Any] = {} if given.roads else count(root, static=given.static)
        sys.stdout = out
    if given.roads:
        print(road)
    elif given.markdown:
        print("| | |\n|---|---|")
        print("\n".join(f"| {name} | {value:,} |" for name, value in counts.items()))
    else:
        print(json.dumps(counts, indent=2))


if __name__ == "__main__":
    main()
