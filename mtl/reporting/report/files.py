"""The files of a run's ``report/`` folder, and of the page."""

from __future__ import annotations

FOLDER = "report"
RUN = "run.json"
CURVES = "curves.csv"
VALIDATION = "validation.json"
TEST = "test.json"
TUNING = "tuning.json"
"""What is known of a tuning method at the end: the ranks of AdaLoRA's adapters."""
PAGE = "report.html"
SWEEP, FRONT = "sweep.json", "front.svg"
"""What a sweep writes at its end, into its own folder."""
