"""Metrics: pure functions over counts, and thin torchmetrics shells that hold the counts."""
