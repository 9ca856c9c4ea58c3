"""While storage fails: when it is tried again, and what the log says of it, which is little."""

from __future__ import annotations

import logging

from liteq import clock
from liteq.exceptions import StorageError

logger = logging.getLogger("huey.consumer")

_RETRY_AFTER = clock.SECOND // 4


class Outage:
    """The time in which storage fails, from the first failure on."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._kind: type[StorageError] | None = None
        self.retry_at: int | None = None
        """When storage is to be tried again (monotonic microseconds); None if it does not fail."""

    def holds(self, monotonic: int) -> bool:
        """Whether it is too early to try again."""
        return self.retry_at is not None and monotonic < self.retry_at

    def goes_on(self, error: StorageError, monotonic: int) -> bool:
        """Storage failed; whether that is the beginning. The log tells of each kind of failure once."""
        begins = self._since is None
        if type(error) is not self._kind:
            logger.error("Storage fails; trying again until it works: %s", error)
        self._since = self._since if self._since is not None else monotonic
        self._kind = type(error)
        self.retry_at = monotonic + _RETRY_AFTER
        return begins

    def is_over(self, monotonic: int) -> None:
        """Everything that was to be stored is stored."""
        if self._since is not None:
            logger.warning("Storage works again, after %.1f s", (monotonic - self._since) / clock.SECOND)
            self._since = self._kind = self.retry_at = None
