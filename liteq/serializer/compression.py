"""Compress bytes, and read bytes that may be compressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_MAGIC = b"\x78"


def compress(data: bytes, level: int, use_zlib: bool) -> bytes:
    """The bytes in the format of zlib or gzip; equal ones give equal ones."""
    return zlib.compress(data, level) if use_zlib else gzip.compress(data, level, mtime=0)


def read(decode: Callable[[bytes], Any], data: bytes, *, written_compressed: bool) -> Any:
    """The value of bytes that are compressed, or are not.

    What a queue holds was written before compression was switched on or off, or by a process where it is not.
    Bytes that look compressed may still be what `decode` reads, when an application's own serializer makes
    such: then they are taken first for what this process would have written.
    """
    decompress = _decompressor(data)
    if decompress is None:
        return decode(data)
    readings: tuple[Callable[[], Any], ...] = (lambda: decode(decompress(data)), lambda: decode(data))
    first, second = readings if written_compressed else reversed(readings)
    try:
        return first()
    except Exception:  # the first reading is the likely one, so its error is the one to tell
        with suppress(Exception):
            return second()
        raise


def _decompressor(data: bytes) -> Callable[[bytes], bytes] | None:
    if data[:2] == _GZIP_MAGIC:
        return gzip.decompress
    return zlib.decompress if data[:1] == _ZLIB_MAGIC else None
