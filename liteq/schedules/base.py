"""What every schedule can say: when its next slot starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

from liteq.schedules.zone import MINUTE, to_us


class Schedule(ABC):
    """A sequence of slots; a slot is the moment at which something is due, in microseconds of UTC since 1970.

    Applications may have schedules of their own: all that is needed is `next_after`, which must be quick and
    must always give the same answer.
    """

    __slots__ = ()

    @abstractmethod
    def next_after(self, moment: int, utc: bool = True) -> int | None:
        """The first slot later than `moment`; None if there is none.

        Args:
            moment: microseconds of UTC since 1970.
            utc: a schedule that names hours and has no time zone of its own means those of UTC; with False,
                those of this machine's local time.
        """

    def in_minute(self, moment: int, utc: bool = True) -> bool:
        """Whether a slot starts in the minute of `moment`."""
        start = moment // MINUTE * MINUTE
        slot = self.next_after(start - 1, utc)
        return slot is not None and slot < start + MINUTE

    def __call__(self, moment: datetime) -> bool:
        """Whether a slot starts in the minute of a datetime; one without a time zone is in UTC."""
        return self.in_minute(to_us(moment))
