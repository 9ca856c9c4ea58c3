"""When the dispatcher looks at storage: when the bell rings, else at intervals."""

from __future__ import annotations

from liteq.storage.base import Storage
from liteq.storage.contract.results import FIRST_LOOK, LONGEST_WATCH
from liteq.workers.options import ConsumerOptions

_LONGEST_LOOK = 0.1


class Watch:
    """A source of wake-ups, and the interval of looks where there is none or it could miss something."""

    def __init__(self, storage: Storage, options: ConsumerOptions) -> None:
        self.source = storage.work_source()
        self._storage = storage
        self._version = -1
        longest = _LONGEST_LOOK if options.max_delay is None else options.max_delay
        first = FIRST_LOOK if options.delay is None else options.delay
        self._first = min(first, longest)
        self._longest = longest
        self._growth = options.backoff
        self._interval = self._first

    def rang(self) -> None:
        """Take note of the wake-up."""
        if self.source is not None:
            self.source.drain()

    def timeout(self) -> float:
        """Seconds until storage is to be looked at without a wake-up."""
        return self._interval if self.source is None else LONGEST_WATCH

    def has_changed(self) -> bool:
        """Whether another process has changed the storage since the last call."""
        version = self._storage.version()
        changed = version != self._version
        self._version = version
        self._interval = self._first if changed else min(self._interval * self._growth, self._longest)
        return changed

    def close(self) -> None:
        """Stop watching."""
        if self.source is not None:
            self.source.close()
