"""Text files line by line: encodings, byte-order marks, line ends, undecodable bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from mtl.data.readers.base import Source
from mtl.data.readers.compressed import open_bytes
from mtl.errors import ConfigError, DataError

_MARK = "\udfff"  # A lone surrogate: no decoder of a Unicode encoding returns one.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _MARK, error.end


codecs.register_error("mtl-mark", _mark)


def encoding_of(path: Path, encoding: str) -> str:
    """Return the encoding that a byte-order mark tells; `encoding` if there is none.

    Only UTF-8, the default, gives way to a mark: another encoding was asked for.
    """
    if codecs.lookup(encoding).name != "utf-8":
        return encoding
    with open_bytes(path) as file:
        start = file.read(4)
    return next((name for bom, name in _BOMS if start.startswith(bom)), encoding)


def lines(source: Source, newline: str = "\n") -> Iterator[tuple[int, str]]:
    r"""Yield ``(number, line)`` from 1, each line with its line end.

    Args:
        source: The file.
        newline: ``"\n"`` ends lines at line feeds only (a carriage return before one belongs to
            it); an empty string at carriage returns too, as :mod:`csv` wants it.

    Raises:
        DataError: At the first line with bytes that are not of the encoding.
        ConfigError: If the encoding is unknown.
    """
    number = 0
    with _open(source, newline) as file:
        try:
            for number, line in enumerate(file, start=1):
                if _MARK in line or (number == 1 and "\0" in line):
                    raise _undecodable(source, number, wide="\0" in line)
                yield number, line.lstrip("\ufeff") if number == 1 else line
        except UnicodeError:  # UTF-16 without a byte-order mark
            raise _undecodable(source, number + 1) from None


def _undecodable(source: Source, line: int, *, wide: bool = False) -> DataError:
    return source.fail(
        line,
        f"{source.encoding} text",
        "found bytes that are not",
        f"Set `{source.key('encoding')}` to the file's encoding, such as "
        f"{'utf-16-le' if wide else 'latin-1'}.",
    )


def whole(source: Source) -> str:
    """Return the text of a file; errors as for :func:`lines`."""
    return "".join(line for _, line in lines(source))


def _open(source: Source, newline: str) -> TextIO:
    try:
        encoding = encoding_of(source.path, source.encoding)
    except LookupError:
        raise _unknown(source) from None
    file = open_bytes(source.path)
    try:
        return TextIOWrapper(file, encoding=encoding, errors="mtl-mark", newline=newline)
    except LookupError:  # Such as hex, which is of bytes.
        file.close()
        raise _unknown(source) from None


def _unknown(source: Source) -> ConfigError:
    return source.refuse(
        "encoding",
        "to be an encoding that Python knows (utf-8, latin-1, cp1252, utf-16, …)",
        f"got '{source.encoding}'",
    )
