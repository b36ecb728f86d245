"""Corpora in which something odd was put by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtl.config.schema import Config, DataConfig, TaskConfig
from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import Finding
from mtl.inspection.inspect import inspect
from mtl.training.setup import corpus_of, prepare
from tests.training.site import Site

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty"]
WORDS += ["knoll", "ledge", "marsh"]
ROWS = [
    {"text": " ".join(WORDS[(n * k + n // 13) % 13] for k in range(1, 7)), "label": "ab"[n % 2]}
    for n in range(60)
]
"""Texts that are not alike."""
DEV = [{"text": "A new text.", "label": "a"}, {"text": "One more of them.", "label": "b"}]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def corpus(
    site: Site, folder: Path, train: list[dict[str, Any]], length: int | None = None, **more: Any
) -> Corpus:
    """Return a corpus of labelled texts; `more` are keys of the data section."""
    return typed(site, folder, train, length=length, **{"validation": DEV, **more})


def typed(
    site: Site,
    folder: Path,
    train: list[dict[str, Any]],
    type: str = "text_classification",
    columns: dict[str, str] | None = None,
    length: int | None = None,
    options: dict[str, Any] | None = None,
    metric: str | None = None,
    **more: Any,
) -> Corpus:
    """Return a corpus of one task, called ``x``."""
    given = more.pop("validation", None)
    files = {"train": train, **({} if given is None else {"validation": given})}
    named = {split: write(folder / f"{split}.jsonl", rows) for split, rows in files.items()}
    spec = TaskConfig(
        type=type,
        columns=columns or {"text": "text", "label": "label"},
        data=DataConfig(**named, **more),
        options=options or {},
        metric=metric,
    )
    cfg = Config(tasks={"x": spec})
    cfg.balancing.name = "sum"
    cfg.trunk.name, cfg.trunk.path, cfg.trunk.max_length = "hf", str(site.trunk), length
    return corpus_of(prepare(cfg, folder))


def found(corpus: Corpus) -> dict[str, Finding]:
    return {finding.check: finding for finding in inspect(corpus)}
