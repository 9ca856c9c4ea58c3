"""A queue that keeps nothing: whatever is put into it is gone, and it answers as an empty one does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from liteq.storage.base import Storage
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

    def _forget(self) -> None:
        self._clear()
        self._pauses.clear()
        self._consumers.clear()
        self._slots.clear()
        self._timetable.clear()


def _forgetting(verb: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(verb)
    def run(self: BlackHoleStorage, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            try:
                return verb(self, *args, **kwargs)
            finally:
                self._forget()

    return run


for _verb in Storage.__abstractmethods__ - {"describe", "close"}:
    setattr(BlackHoleStorage, _verb, _forgetting(getattr(MemoryStorage, _verb)))
