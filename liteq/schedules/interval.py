"""Intervals: a slot every so many seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from liteq.schedules.base import Schedule
from liteq.schedules.zone import SECOND

_SHORTEST = SECOND // 10
_LONGEST = 36_525 * 24 * 3600 * SECOND
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Every(Schedule):
    """Slots at the whole multiples of an interval, counted from the start of 1970 in UTC.

    `every` makes one; one made directly is not checked.

    Attributes:
        interval: in microseconds.
    """

    interval: int

    def next_after(self, moment: int, utc: bool = True) -> int:
        """The next multiple; see `Schedule`."""
        del utc
        return (moment // self.interval + 1) * self.interval

    def __repr__(self) -> str:
        seconds = self.interval / SECOND
        return f"every(seconds={seconds:.15g})"


def every(
    interval: timedelta | None = None,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
) -> Every:
    """A slot every so often: `every(seconds=30)`, `every(hours=1, minutes=30)` or `every(timedelta(…))`.

    Slots do not count from the consumer's start. They are the whole multiples of the interval since the start
    of 1970 in UTC, so that all consumers agree on them: every 15 minutes is at 0, 15, 30 and 45 past; every
    day is at 0:00 UTC; every 7 days is on Thursdays. For other times of the day, and for hours of a time
    zone, use `crontab`.

    Raises:
        TypeError: if a part is not a number, or the interval not a timedelta.
        ValueError: if the interval is shorter than 0.1 seconds or longer than 100 years, or given twice.
    """
    parts = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days}
    for name, value in parts.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {value!r}")
    if interval is not None and not isinstance(interval, timedelta):
        raise TypeError(f"the interval must be a timedelta or a keyword such as seconds=30, not {interval!r}")
    if interval is not None and any(parts.values()):
        raise ValueError("give the interval either as a timedelta or by keywords")
    try:
        length = (interval if interval is not None else timedelta(**parts)) // _MICROSECOND
    except (OverflowError, ValueError):  # infinite, or not a number at all
        length = 0
    if not _SHORTEST <= length <= _LONGEST:
        raise ValueError("an interval is 0.1 seconds at least and 100 years at most")
    return Every(length)
