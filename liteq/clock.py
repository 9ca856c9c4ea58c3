"""The one module that reads clocks.

Points in time are integer microseconds of UTC since 1970 (`us`). Durations use the monotonic clock, which
stands still while a machine sleeps, so that a suspended laptop expires no lease.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from liteq.bounds import shown

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST = 1000 * 366 * 86_400
"""Seconds. More than anybody means, and few enough not to count past the end of the calendar."""
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> int:
    """The wall clock, in microseconds of UTC."""
    return time.time_ns() // 1000


def monotonic() -> int:
    """The monotonic clock, in microseconds; the same for all processes since the machine's last boot."""
    return time.monotonic_ns() // 1000


def since_boot() -> int:
    """Microseconds since the machine's last boot, those in which it slept included where the system knows."""
    if _BOOTTIME is None:
        return monotonic()
    return time.clock_gettime_ns(_BOOTTIME) // 1000


def seconds_until(moment: int | None, now: int) -> float | None:
    """Seconds from one point in time to another, both in microseconds of the same clock; None for None."""
    return None if moment is None else (moment - now) / SECOND


def to_us(moment: datetime, utc: bool = True) -> int:
    """Microseconds of a datetime: an aware one as it says, a naive one as UTC, or local if `utc` is False."""
    if moment.tzinfo is None:
        # astimezone() reads a naive datetime as local time, honouring `fold` when a clock is set back.
        moment = moment.replace(tzinfo=UTC) if utc else moment.astimezone()
    return (moment - _EPOCH) // _MICROSECOND


def from_us(moment: int, utc: bool = True) -> datetime:
    """The naive datetime of a point in time: in UTC, or in local time if `utc` is False."""
    aware = _EPOCH + timedelta(microseconds=moment)
    return (aware if utc else aware.astimezone()).replace(tzinfo=None)


def naive_now(utc: bool = True) -> datetime:
    """The current naive datetime: in UTC, or in local time if `utc` is False."""
    return from_us(now(), utc)


def seconds_of(duration: float | timedelta, what: str = "delay") -> float:
    """The seconds of a number or a timedelta.

    Raises:
        ValueError: if it is neither, or negative, or more than a thousand years.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise ValueError(f"{what} must be seconds (a number) or a timedelta, not {duration!r}")  # noqa: TRY004 -- huey's
    if not 0 <= duration <= _LONGEST:
        raise ValueError(
            f"{what} must be a finite number of seconds, from zero to a thousand years, not {shown(duration)}"
        )
    return duration


def duration_us(duration: float | timedelta, what: str) -> int:
    """The microseconds of a duration that must not be 0: a time to live, the span of a limit.

    Raises:
        ValueError: if it is not that, or longer than a thousand years.
    """
    seconds = seconds_of(duration, what)
    if not seconds:
        raise ValueError(f"{what} must be more than 0 seconds, not {duration!r}")
    return max(1, round(seconds * SECOND))


def normalize_time(
    eta: datetime | None = None, delay: float | timedelta | None = None, utc: bool = True
) -> datetime:
    """The naive datetime at which something is due, in UTC (or in local time if `utc` is False).

    A naive `eta` is local time, as people write it; an aware one is converted.

    Raises:
        ValueError: unless exactly one of `eta` and `delay` is given and it is of the right type, in the range
            of the calendar.
    """
    if (eta is None) == (delay is None):
        raise ValueError("specify either eta= (a datetime) or delay= (seconds)")
    if delay is not None:
        return naive_now(utc) + timedelta(seconds=seconds_of(delay))
    if not isinstance(eta, datetime):
        raise ValueError(f"eta must be a datetime, not {eta!r}")  # noqa: TRY004 -- huey's
    try:
        return from_us(to_us(eta, utc=False), utc)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"eta {eta!r} is not in the years 1 to 9999 everywhere: {error}") from error
