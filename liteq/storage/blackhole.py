"""A queue that keeps nothing: whatever is put into it is gone, and it answers as an empty one does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from liteq.storage.memory import MemoryStorage


class BlackHoleStorage(MemoryStorage):
    """A queue in which everything vanishes, for benchmarks, tests and applications without a consumer.

    Each verb does its work in an empty queue, and what it leaves there is thrown away: a lock is free, a
    rate limit is not reached, no result comes, and who waits for one is told so at once. Faulty arguments
    are refused as ever. The options are those of `MemoryStorage`.
    """

    def describe(self) -> str:
        """See the contract."""
        return f"queue {self.name!r} in a black hole: whatever is put into it is gone"

    @contextmanager
    def around(self, verb: str) -> Iterator[None]:
        """Throw away what the verb leaves; but no number is used twice."""
        with super().around(verb):
            try:
                yield
            finally:
                self._clear()
                for table in (self._pauses, self._consumers, self._slots, self._timetable):
                    table.clear()
