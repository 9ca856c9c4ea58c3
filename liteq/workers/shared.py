"""Memory that all processes of a consumer share, and that outlives each of them but the last."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

_ENTRY = struct.Struct("<QQ")
_LENGTH = struct.Struct("<Q")
_JOURNAL_SIZE = 8 * 1024 * 1024


class Board:
    """One line for each worker: which attempt it started last. Written by the worker, read after a death."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, max(mmap.PAGESIZE, workers * _ENTRY.size))

    def write(self, index: int, seq: int, attempt: int) -> None:
        """Note that the worker at `index` starts an attempt."""
        _ENTRY.pack_into(self._memory, index * _ENTRY.size, seq, attempt)

    def read(self, index: int) -> tuple[int, int]:
        """The message and the attempt that the worker at `index` started last."""
        seq, attempt = _ENTRY.unpack_from(self._memory, index * _ENTRY.size)
        return seq, attempt


class Journal:
    """Reports that the dispatcher has read but not committed yet, for the next one in case it dies."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _JOURNAL_SIZE)

    def append(self, packet: bytes) -> None:
        """Add a packet, if there is room: what the workers can have in hand at once fits many times."""
        used: int
        (used,) = _LENGTH.unpack_from(self._memory)
        start = _LENGTH.size + used
        end = start + _LENGTH.size + len(packet)
        if end > _JOURNAL_SIZE:
            return
        _LENGTH.pack_into(self._memory, start, len(packet))
        self._memory[start + _LENGTH.size : end] = packet
        _LENGTH.pack_into(self._memory, 0, end - _LENGTH.size)  # last: a torn entry is not there

    def clear(self) -> None:
        """Forget all: they are committed."""
        _LENGTH.pack_into(self._memory, 0, 0)

    def __iter__(self) -> Iterator[bytes]:
        (used,) = _LENGTH.unpack_from(self._memory)
        at, end = _LENGTH.size, _LENGTH.size + used
        while at < end:
            (length,) = _LENGTH.unpack_from(self._memory, at)
            at += _LENGTH.size
            yield self._memory[at : at + length]
            at += length
