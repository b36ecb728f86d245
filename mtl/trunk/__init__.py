"""The shared pretrained transformer: loading, attention masks, and which parameters learn."""

from mtl.trunk.text import TextEncoder, Tokens
from mtl.trunk.trunk import Trunk

__all__ = ["TextEncoder", "Tokens", "Trunk"]
