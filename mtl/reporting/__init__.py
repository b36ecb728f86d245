"""What a run shows: console tables, dashboards, reports."""
