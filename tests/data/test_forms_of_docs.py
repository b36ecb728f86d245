"""Every row of the tables of docs/data.md is read, from a file as its tool writes it."""

import re
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import DataConfig
from mtl.data.sources import Wanted, load_splits
from mtl.tasks import TASK_TYPES
from mtl.training.model import make_task
from tests.data.forms import FORMS, Form

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
TABLES = (
    "| `data.source` | what it is |",
    "| ending | read as |",
    "| type | columns |",
    "| tool | its files | left out, and counted |",
)


def rows_of(title: str) -> list[str]:
    """The rows of the table under a title."""
    found = re.search(re.escape(title) + r"\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE)
    assert found is not None, title
    return found[1].splitlines()


ROWS = [row for title in TABLES for row in rows_of(title)]


def proves(form: Form, row: str) -> bool:
    of_type = row.startswith(f"| `{form.type}` |")
    return of_type or (bool(form.proves) and form.proves in row)


@pytest.mark.parametrize("row", ROWS, ids=[row[2:40] for row in ROWS])
def test_a_file_proves_every_row_of_the_tables(row: str) -> None:
    of_tools = "of doccano, Prodigy, Label Studio or spaCy" in row
    assert of_tools or any(proves(form, row) for form in FORMS.values())


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_in_the_tables(name: str) -> None:
    form = FORMS[name]
    assert not form.proves or sum(form.proves in row for row in ROWS) == 1, form.proves


def test_tables_have_every_task_type() -> None:
    assert {row.split("`")[1] for row in rows_of(TABLES[2])} == set(TASK_TYPES)


def test_the_page_names_every_way_of_compression_that_is_tried() -> None:
    line = next(
        line for line in PAGE.split("\n\n") if line.startswith("Text files may be compress")
    )
    for word in ("gzip", "bzip2", "xz", "zstd", "zip archive"):
        assert word in line


def read(form: Form, folder: Path) -> list[dict[str, Any]]:
    task = make_task("it", form.type, options=dict(form.options), head={})
    data = DataConfig(**form.write(folder))
    wanted = {"it": Wanted(data, form.columns, task.roles(task.options), task.check)}
    splits = load_splits(wanted, 0)["it"]
    assert splits.train is not None
    return list(splits.uncut or splits.train)


@pytest.mark.parametrize("name", FORMS)
def test_it_is_read(tmp_path: Path, name: str) -> None:
    form = FORMS[name]
    if name == "bundled":
        form = Form(form.proves, form.write, [], columns={"text": "text", "label": "sentiment"})
        assert len(read(form, tmp_path)) > 100
        return
    rows = read(form, tmp_path)
    assert len(rows) == len(form.rows)
    for row, wanted in zip(rows, form.rows, strict=True):
        for role, value in wanted.items():
            assert _plain(row[role]) == value


def _plain(value: Any) -> Any:
    """Spans of words as triples; answers without what is not wanted."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "label" in value[0]:
        return [[span["start"], span["end"], span["label"]] for span in value]
    return value
