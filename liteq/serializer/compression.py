"""Compress bytes, and read bytes that may be compressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from liteq.exceptions import PayloadTooLarge

_EITHER_FORMAT = 32 + zlib.MAX_WBITS

MAGIC: Final = (b"\x1f\x8b", b"\x78")
"""Of gzip and zlib: what does not begin with either is not compressed."""


def compress(data: bytes, level: int, use_zlib: bool) -> bytes:
    """The bytes in the format of zlib or gzip; equal ones give equal ones."""
    return zlib.compress(data, level) if use_zlib else gzip.compress(data, level, mtime=0)


def check_size(size: int, most: int) -> None:
    """Refuse to compress what could not be read again.

    Raises:
        PayloadTooLarge: if it is more bytes than are decompressed.
    """
    if size > most:
        raise PayloadTooLarge(f"it has {size:,} bytes before compression, and max_decompressed is {most:,}")


def read(decode: Callable[[bytes], Any], data: bytes, *, written_compressed: bool, most: int) -> Any:
    """The value of bytes that look compressed, to `most` bytes or fewer.

    What a queue holds was written before compression was switched on or off, or by a process where it is not.
    Bytes that look compressed may still be what `decode` reads, when an application's own serializer makes
    such: then they are taken first for what this process would have written.
    """
    readings: tuple[Callable[[], Any], ...] = (lambda: decode(_inflate(data, most)), lambda: decode(data))
    first, second = readings if written_compressed else reversed(readings)
    try:
        return first()
    except Exception:  # the first reading is the likely one, so its error is the one to tell
        with suppress(Exception):
            return second()
        raise


def _inflate(data: bytes, most: int) -> bytes:
    """Decompress, in as much memory as the result may have: a few bytes can stand for a great many.

    Raises:
        PayloadTooLarge: if there are more than `most`.
        zlib.error: if the bytes are damaged.
        EOFError: if their end is missing.
    """
    pieces = []
    while data:
        inflater = zlib.decompressobj(_EITHER_FORMAT)
        piece = inflater.decompress(data, most + 1)
        if len(piece) > most:
            raise PayloadTooLarge("it has more bytes when it is decompressed than max_decompressed allows")
        if not inflater.eof:
            raise EOFError("the compressed bytes end before their end mark")
        most -= len(piece)
        pieces.append(piece)
        data = inflater.unused_data
    return b"".join(pieces)
