"""What a page shows of a whole sweep, beside its runs: what follows from them, trial by trial."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from mtl.reporting.pages.charts import lines
from mtl.reporting.report.files import FRONT, SWEEP

Values = Mapping[str, Any]
FEW = 3
"""Jobs with a score, below which there is nothing to draw."""


def sweep_section(folder: Path) -> Values | None:
    """Return what a sweep's folder says of all its jobs; None if it is no sweep's that has ended.

    A picture is embedded as an image, in which no script runs.
    """
    try:
        found = json.loads((folder / SWEEP).read_text(encoding="utf-8"))
        jobs = [job for job in found["jobs"] if isinstance(job["job"], int)]
        told = [str(line) for line in found["lines"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {
        "lines": told,
        "command": str(found.get("command") or ""),
        "chart": _chart(jobs),
        "monitor": next((str(job["monitor"]) for job in jobs if job.get("monitor")), "score"),
        "picture": _picture(folder / FRONT),
    }


def _chart(jobs: list[Values]) -> object:
    """Draw each job's score by its number, and the best until then."""
    scored = sorted(
        (job["job"], float(job["score"]))
        for job in jobs
        if isinstance(job.get("score"), int | float) and math.isfinite(job["score"])
    )
    if len(scored) < FEW:
        return None
    better = max if all(job.get("higher", True) for job in jobs) else min
    best = accumulate((score for _, score in scored), better)
    numbers = (number for number, _ in scored)
    return lines({"best so far": list(zip(numbers, best, strict=True)), "each job": scored})


def _picture(file: Path) -> str:
    try:
        return base64.b64encode(file.read_bytes()).decode()
    except OSError:
        return ""
