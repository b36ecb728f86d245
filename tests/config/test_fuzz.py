"""Any overrides: either a configuration, or the project's own error, and never a side effect."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.cli.train import CONF, parse_arguments
from mtl.config.compose import compose_checked
from mtl.config.groups import Groups
from mtl.config.keys import dotted_keys
from mtl.config.overrides import join_tasks
from mtl.config.schema import Config
from mtl.errors import MtlError
from tests.properties import max_examples

FEW = max_examples(25)
GROUPS = Groups([CONF])
NAMES = ("ner", "sentiment")
KEYS = st.sampled_from([*dotted_keys(names=NAMES), *GROUPS.names, "hydra.run.dir", "nothing"])
NUMBERS = ["1", "-1", "0", "1e-3", "nan", "inf", "1" * 400]
LISTS = ["a,b", "[1,2]", "{a: 1}", "[", "}", "ner,ner", "[[1]]", "{a: {b: [1]}}", "range(1,3)"]
OTHERS = ["", "true", "null", "ner", "'a b'", "${seed}", "${nothing}", "???", "glob(*)", "é", "\\"]
CALLS = ["choice(1,2)", "uniform", "${oc.env:NOTHING}", "interval(0,1)", "int(a)", "sort(2,1)"]
VALUES = st.sampled_from([*NUMBERS, *LISTS, *OTHERS, *CALLS]) | st.text(max_size=8)
SIGNS = st.sampled_from(["", "", "", "+", "++", "~"])
WRITTEN = st.builds(lambda sign, key, value: f"{sign}{key}={value}", SIGNS, KEYS, VALUES)
OVERRIDES = st.lists(WRITTEN | st.text(max_size=12), min_size=1, max_size=4)


def compose(argv: list[str]) -> None:
    """Do what a command line asks for, up to the point where a folder would be made."""
    arguments = parse_arguments(argv)
    typed = join_tasks(arguments.overrides, arguments.multirun, GROUPS.choices("task"))
    composed = compose_checked(typed, [CONF], arguments.multirun)
    assert isinstance(composed.config, Config)


@pytest.mark.slow
@FEW
@given(overrides=OVERRIDES, multirun=st.booleans())
def test_any_overrides(overrides: list[str], multirun: bool) -> None:
    try:
        compose([*(["-m"] if multirun else []), *overrides])
    except MtlError as error:
        message = str(error)
        assert message.strip()
        assert "object at 0x" not in message


YAML = st.text(alphabet="ab:-{}[]!&*|>'\"#% \n\t1", max_size=60)


@FEW
@given(content=YAML)
def test_any_task_file(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "task").mkdir()
    (folder / "task" / "mine.yaml").write_text(f"# @package tasks.mine\n{content}", "utf-8")
    folders = [CONF, Path(folder)]
    with contextlib.suppress(MtlError):
        compose_checked(["task=mine"], folders)
