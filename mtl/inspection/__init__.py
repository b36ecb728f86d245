"""Looks at the data of a run before it trains: what is there, and what is odd about it."""
