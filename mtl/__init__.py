"""mtl: one pretrained trunk, a head for each task, one pass for all of them."""

__version__ = "0.1.0"
