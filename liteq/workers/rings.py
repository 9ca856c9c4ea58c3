"""How workers report to the dispatcher: one ring in shared memory for each place in the pool.

A report is in its ring from the moment in which the worker has written it until the dispatcher has committed
what it says. Whoever dies in between loses none: the dispatcher reads what a dead worker has left, and the
next dispatcher reads again what the one before it has read and not committed.

Writing takes no call of the system, and reading neither. A worker rings the dispatcher, by a packet on its
line, only if that sleeps, and not for every report while it has more tasks in hand: see `Doorbell`.
"""

from __future__ import annotations

import mmap
import struct
import threading
from typing import Final

SIZE: Final = 128 * 1024
"""Bytes of a ring: the largest report fits twice."""

_LENGTH = struct.Struct("=I")
_WORDS_EACH = 2
_HEAD, _TAIL = 0, 1
"""Words of a ring: how many bytes were ever written, and how many of them are committed."""
_SLEEPS = 0
"""The first word of all: the dispatcher sleeps, or is about to."""


class Rings:
    """The rings of all places; made before the processes that share them.

    Args:
        places: how many.
    """

    def __init__(self, places: int) -> None:
        words = 1 + places * _WORDS_EACH
        pages = (words * 8 + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        self._memory = memoryview(mmap.mmap(-1, pages * mmap.PAGESIZE + places * SIZE))
        # Each word is written and read as a whole.
        self._words = self._memory[: words * 8].cast("Q")
        self._rings = [self._memory[pages * mmap.PAGESIZE + place * SIZE :][:SIZE] for place in range(places)]
        self._read = [0] * places
        self._fence = threading.Lock()

    # The worker

    def write(self, place: int, report: bytes) -> bool:
        """Write a report; False if there is no room until the dispatcher has committed some."""
        head, tail = self._position(place, _HEAD), self._position(place, _TAIL)
        end = head + _LENGTH.size + len(report)
        if end - tail > SIZE:
            return False
        self._put(place, head, _LENGTH.pack(len(report)) + report)
        self._set(place, _HEAD, end)
        return True

    def is_awaited(self) -> bool:
        """Whether the dispatcher has to be rung, because it may not see by itself what was written."""
        with self._fence:  # an atomic operation: what was written is seen by all before this is read
            return bool(self._words[_SLEEPS])

    def left(self, place: int) -> list[bytes]:
        """The reports that are not committed, for a worker that finds that nobody is left to do so."""
        return self._reports(place, self._position(place, _TAIL), self._position(place, _HEAD))

    # The dispatcher

    def take_over(self) -> list[bytes]:
        """The reports that the dispatcher before this one left; they stay until the next `commit`."""
        places = range(len(self._rings))
        self._read = [self._position(place, _TAIL) for place in places]
        return [report for place in places for report in self.read(place)]

    def has_news(self, place: int) -> bool:
        """Whether there is something to read."""
        return self._position(place, _HEAD) != self._read[place]

    def read(self, place: int) -> list[bytes]:
        """What was reported since the last call; it stays until the next `commit`."""
        head = self._position(place, _HEAD)
        with self._fence:  # what is before the head is seen once the head is
            reports = self._reports(place, self._read[place], head)
        self._read[place] = head
        return reports

    def commit(self) -> None:
        """Give the room of all that was read back to the workers: it is committed."""
        for place, read in enumerate(self._read):
            if self._position(place, _TAIL) != read:
                self._set(place, _TAIL, read)

    def sleep(self) -> bool:
        """Say that the dispatcher sleeps from now on; False if it must not, since there is news."""
        self._words[_SLEEPS] = 1
        with self._fence:  # who writes after this rings; what was written before is seen here
            return not any(map(self.has_news, range(len(self._rings))))

    def wake(self) -> None:
        """Say that it is awake: it looks at all rings before it sleeps again."""
        self._words[_SLEEPS] = 0

    # Both

    def _position(self, place: int, word: int) -> int:
        return self._words[1 + place * _WORDS_EACH + word]

    def _set(self, place: int, word: int, position: int) -> None:
        self._words[1 + place * _WORDS_EACH + word] = position

    def _put(self, place: int, position: int, data: bytes) -> None:
        ring, start = self._rings[place], position % SIZE
        first = min(len(data), SIZE - start)
        ring[start : start + first] = data[:first]
        ring[: len(data) - first] = data[first:]

    def _get(self, place: int, start: int, end: int) -> bytes:
        ring, first = self._rings[place], start % SIZE
        if first + end - start <= SIZE:
            return bytes(ring[first : first + end - start])
        return bytes(ring[first:]) + bytes(ring[: end - start - (SIZE - first)])

    def _reports(self, place: int, start: int, end: int) -> list[bytes]:
        if start == end:
            return []
        data, at = self._get(place, start, end), 0
        reports = []
        while at < len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            reports.append(data[at : at + length])
            at += length
        return reports


QUIET: Final = 500
"""Microseconds after it rang in which a worker with more tasks in hand does not ring again."""


class Doorbell:
    """When a worker rings: when it has nothing more to do, and otherwise every now and then.

    Each ring is a turn of the dispatcher, with a commit: in a flood of short tasks it should do for many. So
    a report may be there that nobody was rung for, but none that was written more than `QUIET` after the
    dispatcher could read one for which the worker rang: it looks once more after that time, and else sleeps
    as long as it likes.
    """

    __slots__ = ("_rang",)

    def __init__(self) -> None:
        self._rang = 0

    def is_due(self, before: int, after: int, *, more: bool) -> bool:
        """Whether to ring for a report, with `more` tasks in hand; it is taken for done.

        The times (monotonic microseconds) are from before and from after it was written: this process may
        have stood still meanwhile, and the dispatcher have read it.
        """
        if more and after - self._rang < QUIET:
            return False
        self._rang = before
        return True
