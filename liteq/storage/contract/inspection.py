"""The verbs that show what a queue holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from liteq.messages import MemberEnd


class Taken(NamedTuple):
    """A message that was taken out of the queue for good, with all that storage held of it."""

    data: bytes
    ends: list[MemberEnd] | None = None
    """The ends of its chord's members, if it is a callback."""


class DeadTask(NamedTuple):
    """A message that will not run again by itself."""

    id: str
    name: str
    data: bytes
    attempts: int
    crashes: int
    died: int
    """When, in microseconds of UTC."""
    reason: str
    exit_code: int | None = None
    """How its worker ended, if that was the cause; the negative number of a signal."""
    peak_memory: int | None = None
    """Bytes of memory that its worker had at the most, if that ended."""


class InspectionContract(ABC):
    """What the queue holds."""

    @abstractmethod
    def pending(self, limit: int | None = None) -> list[bytes]:
        """The data of ready messages, paused ones among them, in the order in which they would be claimed."""

    @abstractmethod
    def pending_count(self) -> int:
        """How many messages are ready; paused ones are."""

    @abstractmethod
    def scheduled(self, limit: int | None = None) -> list[bytes]:
        """The data of scheduled messages, the earliest first."""

    @abstractmethod
    def scheduled_count(self) -> int:
        """How many messages are scheduled."""

    @abstractmethod
    def take_due(self, now: int) -> list[Taken]:
        """Remove the scheduled messages that are due, and return them (for applications' own tests)."""

    @abstractmethod
    def running_count(self) -> int:
        """How many messages are claimed."""

    @abstractmethod
    def dead(self, limit: int | None = None) -> list[DeadTask]:
        """Dead messages, the latest first."""

    @abstractmethod
    def delete_dead(self, ids: Sequence[str]) -> int:
        """Delete the dead messages of these ids, and their revocations; how many there were."""

    @abstractmethod
    def delete_dead_before(self, died: int, limit: int) -> int:
        """Delete up to `limit` messages that died before a time, and their revocations; how many it did."""

    @abstractmethod
    def flush(self) -> None:
        """Delete everything that belongs to this queue: results, locks, counters, history and all.

        Claims go too: a task that is running meanwhile loses its claim, and its outcome has no effect.
        Registered consumers, the slots for which periodic tasks have fired, the timetable and pauses stay.
        """
