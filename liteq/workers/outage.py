"""While storage fails: what can be done, when it is tried again, and the little that the log says of it."""

from __future__ import annotations

import logging

from liteq import clock
from liteq.exceptions import ForeignFile, StorageDamaged, StorageError, StorageFull
from liteq.storage.base import Storage

logger = logging.getLogger("huey.consumer")

_RETRY_AFTER = clock.SECOND // 4
_RELIEF_EVERY = clock.SECOND


class Outage:
    """The time in which storage fails, from the first failure until all that was to be stored is stored.

    Args:
        storage: what fails, if it does.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._since: int | None = None
        self._told: type[StorageError] | None = None
        self._next_relief = 0
        self.retry_at: int | None = None
        """When storage is to be tried again (monotonic microseconds); None if it does not fail."""
        self.is_hopeless = False
        """No try will do better."""

    def holds(self, monotonic: int) -> bool:
        """Whether it is too early to try again."""
        return self.retry_at is not None and monotonic < self.retry_at

    def goes_on(self, error: StorageError, monotonic: int) -> None:
        """Storage failed. The log tells of each kind of failure once."""
        self.is_hopeless = isinstance(error, StorageDamaged | ForeignFile)
        if self._since is None and isinstance(error, StorageFull) and self._is_relieved(monotonic):
            self.retry_at = monotonic
            return
        if type(error) is not self._told and not self.is_hopeless:
            logger.error("Storage fails; trying again until it works: %s", error)
        self._told = type(error)
        self._since = monotonic if self._since is None else self._since
        self.retry_at = monotonic + _RETRY_AFTER

    def _is_relieved(self, monotonic: int) -> bool:
        """Whether storage could give back room; if it is full again at once, that was not enough."""
        if monotonic < self._next_relief:
            return False
        self._next_relief = monotonic + _RELIEF_EVERY
        try:
            self._storage.maintain(full=True)
        except StorageError:
            return False
        return True

    def is_over(self, monotonic: int) -> None:
        """Everything that was to be stored is stored."""
        if self._since is not None:
            logger.warning("Storage works again, after %.1f s", (monotonic - self._since) / clock.SECOND)
        self._since = self._told = self.retry_at = None
