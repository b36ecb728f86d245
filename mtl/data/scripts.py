"""Scripts that put no space between words: Chinese, Japanese, Thai and their like."""

from __future__ import annotations

import re
import unicodedata

_RANGES = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"  # Myanmar
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf"  # Tai Le, New Tai Lue, Tai Tham
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b"  # marks that stand for a Chinese character
    "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_SPACELESS = re.compile(f"[{_RANGES}]")
_JOINERS = "\u200c\u200d"


def is_spaceless(character: str) -> bool:
    """Whether a character is a letter of a script without spaces between words."""
    return bool(_SPACELESS.match(character)) and character.isalpha()


def has_spaceless(text: str) -> bool:
    """Whether a text has a character of a script without spaces between words."""
    return not text.isascii() and _SPACELESS.search(text) is not None


def is_set_solid(character: str) -> bool:
    """Whether no blank stands beside a character: such a letter, or a wide sign such as ``。``."""
    if character.isascii():
        return False
    wide = unicodedata.east_asian_width(character) in "WF" and not character.isalnum()
    return is_spaceless(character) or (wide and unicodedata.category(character).startswith("P"))


def joins(character: str) -> bool:
    """Whether a character belongs to the one before: an accent, a vowel sign, a joiner."""
    return character in _JOINERS or unicodedata.category(character).startswith("M")
