"""Packets in a pipe: cut into frames that the system writes whole or not at all, and put together again."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("<HBQ")
_WHOLE, _PART, _LAST, _NEWS = range(4)
_ROOM = select.PIPE_BUF - _HEADER.size
_MOST_PARTIAL = 64
"""Packets of which a part is there; those of writers that found no room for the rest are never completed."""


def frames_of(packet: bytes) -> list[bytes]:
    """The frames of a packet, in the order in which they are to be written."""
    if len(packet) <= _ROOM:
        return [_HEADER.pack(len(packet), _WHOLE, 0) + packet]
    key = int.from_bytes(os.urandom(8))
    pieces = [packet[at : at + _ROOM] for at in range(0, len(packet), _ROOM)]
    kinds = [_PART] * (len(pieces) - 1) + [_LAST]
    return [_HEADER.pack(len(p), kind, key) + p for p, kind in zip(pieces, kinds, strict=True)]


def news_frame() -> bytes:
    """The frame that wakes who reads, and carries nothing: there is something to look at elsewhere."""
    return _HEADER.pack(0, _NEWS, 0)


class Assembler:
    """Makes packets of what is read from a pipe."""

    def __init__(self) -> None:
        self._rest = b""
        self._partial: dict[int, bytes] = {}

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The packets that are complete with this."""
        data = self._rest + data
        at = 0
        while at + _HEADER.size <= len(data):
            size, kind, number = _HEADER.unpack_from(data, at)
            end = at + _HEADER.size + size
            if end > len(data):
                break
            packet = self._take(kind, number, data[at + _HEADER.size : end])
            at = end
            if packet is not None:
                yield packet
        self._rest = data[at:]

    def _take(self, kind: int, number: int, piece: bytes) -> bytes | None:
        if kind == _WHOLE:
            return piece
        if kind == _NEWS:
            return None
        whole = self._partial.pop(number, b"") + piece
        if kind == _LAST:
            return whole
        self._partial[number] = whole
        if len(self._partial) > _MOST_PARTIAL:
            del self._partial[next(iter(self._partial))]
        return None
