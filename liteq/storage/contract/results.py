"""The verbs of the result store, and how to wait for its changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

FIRST_LOOK = 0.001
"""Seconds until a waiter looks again, where storage can't wake it; later looks are farther apart."""
LONGEST_WATCH = 1.0
"""Even a watched storage is looked at so often: somebody may write to it without telling."""


class Wakeup(Protocol):
    """A wait for something to change in storage. Take `ticket`, look at the storage, then wait."""

    @property
    def watching(self) -> bool:
        """Whether every change ends a wait; if not, the waiter has to look for itself now and then."""

    def ticket(self) -> int:
        """A mark of what has been seen so far; a change after it ends a `wait` at once."""

    def wait(self, ticket: int, timeout: float) -> bool:
        """Wait until something changed since the ticket; False when `timeout` seconds passed first."""


class WakeSource(Protocol):
    """A file descriptor that becomes readable when there may be new work."""

    def fileno(self) -> int:
        """The descriptor, for a selector."""

    def drain(self) -> None:
        """Take what is pending, so that the descriptor is quiet until the next change."""

    def close(self) -> None:
        """Stop watching."""


class ResultContract(ABC):
    """Results, by key."""

    expire_time: int | None = None
    """Microseconds after which the results that tasks leave in their outcomes expire; None: never."""

    @abstractmethod
    def put_result(self, key: str, value: bytes, *, expires: int | None = None) -> None:
        """Store a value, replacing what was there and when it would have expired."""

    @abstractmethod
    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        """Store a value unless there is one that has not expired at `now`; whether it was stored."""

    @abstractmethod
    def peek_result(self, key: str) -> bytes | None:
        """The value, left where it is."""

    @abstractmethod
    def pop_result(self, key: str) -> bytes | None:
        """The value, removed: of several callers at once exactly one gets it."""

    @abstractmethod
    def delete_result(self, key: str) -> bool:
        """Remove a value; whether there was one."""

    @abstractmethod
    def results(self) -> dict[str, bytes]:
        """All stored values."""

    @abstractmethod
    def result_count(self) -> int:
        """How many values are stored."""

    @abstractmethod
    def is_live(self, id: str) -> bool:
        """Whether a message with this id, or a pipeline that contains it, is still ahead of its end.

        Dead messages are at their end. A task that is not live and has no result will not get one.
        """

    @abstractmethod
    def ended(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` for which there is nothing to wait for: a result is stored, or it is not live.

        All is looked at in one moment: none can end between a look for its result and one for itself.
        """

    @abstractmethod
    def results_wakeup(self) -> Wakeup:
        """Wakes when results may have been stored or tasks may have ended."""

    @abstractmethod
    def work_source(self) -> WakeSource | None:
        """A descriptor for consumers; None where it can't be had, and the consumer has to poll."""

    @abstractmethod
    def version(self) -> int:
        """A number that differs from the last one if another connection has changed the storage since.

        It differs, too, if a claim of this one has left messages behind, as it may where many are paused.
        """
