"""A stream of texts: whose share of bad mentions rises."""
