"""The files of a run's ``report/`` folder, and of the page."""

from __future__ import annotations

FOLDER = "report"
RUN = "run.json"
CURVES = "curves.csv"
VALIDATION = "validation.json"
TEST = "test.json"
PAGE = "report.html"
SWEEP, FRONT = "sweep.json", "front.svg"
"""What a sweep writes at its end, into its own folder."""
