"""The site of runs, as tests of training have it."""

from tests.training.conftest import site

__all__ = ["site"]
