"""Heads: modules from hidden states to logits, and their losses."""
