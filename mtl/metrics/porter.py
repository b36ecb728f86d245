"""The Porter stemmer, in the variant that Google's ``rouge-score`` uses (NLTK's extensions).

Porter, "An algorithm for suffix stripping" (1980). The extensions: a few irregular forms, ``ies``
and ``ied`` of four letters, ``y`` after a consonant only, ``alli`` and ``fulli``, two-letter stems.
A word is lower-case ASCII letters and digits; C and V below are its consonants and vowels.
"""

from __future__ import annotations

from functools import lru_cache

Rules = tuple[tuple[str, str], ...]

_IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "innings": "inning",
    "inning": "inning",
    "outings": "outing",
    "outing": "outing",
    "cannings": "canning",
    "canning": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}
_STEP_1A: Rules = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))
_STEP_2: Rules = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
)
_STEP_3: Rules = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion"),
    *("ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


def _shape(word: str) -> str:
    """Return one C or V a letter; ``y`` is a vowel after a consonant."""
    shape = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape.endswith("C"))
        shape += "V" if vowel else "C"
    return shape


def _measure(stem: str) -> int:
    """Return how many times consonants follow vowels: Porter's m."""
    return _shape(stem).count("VC")


def _is_short(stem: str) -> bool:
    """Return Porter's ``*o``: ends CVC, the last not w, x, y; or is VC altogether."""
    shape = _shape(stem)
    return shape == "VC" or (shape.endswith("CVC") and stem[-1] not in "wxy")


def _replace(word: str, rules: Rules, measure: int) -> str:
    """Apply the first rule whose suffix fits, where the stem's measure is above `measure`."""
    for suffix, replacement in rules:
        if word.endswith(suffix):
            stem = word[: -len(suffix)]
            return stem + replacement if _measure(stem) > measure else word
    return word


def _step_1a(word: str) -> str:
    """Plurals."""
    if len(word) == 4 and word.endswith("ies"):
        return word[:-1]
    return _replace(word, _STEP_1A, -1)


def _step_1b(word: str) -> str:
    """Past tenses and participles."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and "V" in _shape(stem):
            return _tidy(stem)
    return word


def _tidy(stem: str) -> str:
    """Give back what step 1b took too much of."""
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if len(stem) > 1 and stem[-1] == stem[-2] and _shape(stem)[-1] == "C":
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _is_short(stem) else stem


def _step_1c(word: str) -> str:
    """``y`` after a consonant."""
    if word.endswith("y") and len(word) > 2 and _shape(word[:-1])[-1] == "C":
        return word[:-1] + "i"
    return word


def _step_2(word: str) -> str:
    """Double suffixes to single ones."""
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _step_2(word[:-2])
    if word.endswith("logi"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return _replace(word, _STEP_2, 0)


def _step_4(word: str) -> str:
    """Suffixes off long stems."""
    for suffix in _STEP_4:
        if word.endswith(suffix):
            stem = word[: -len(suffix)]
            fits = suffix != "ion" or stem.endswith(("s", "t"))
            return stem if fits and _measure(stem) > 1 else word
    return word


def _step_5(word: str) -> str:
    """A final ``e``, then a final double ``l``."""
    if word.endswith("e"):
        stem = word[:-1]
        measure = _measure(stem)
        if measure > 1 or (measure == 1 and not _is_short(stem)):
            word = stem
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the stem of a lower-case word.

    Example:
        >>> [stem(word) for word in ("relational", "hopping", "ponies", "news")]
        ['relat', 'hop', 'poni', 'news']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _step_2(_step_1c(_step_1b(_step_1a(word))))
    return _step_5(_step_4(_replace(word, _STEP_3, 0)))
