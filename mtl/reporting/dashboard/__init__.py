"""Dashboards as code: a workspace and a report of W&B for a run's tasks."""
