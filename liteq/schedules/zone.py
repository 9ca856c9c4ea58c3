"""Wall clocks: what they show at a moment, and at which moments they show a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AHEAD = 3 * HOUR
"""Farther than any clock is ever set back."""


def to_us(moment: datetime) -> int:
    """Microseconds of UTC of a datetime; one without a time zone is in UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


class Zone:
    """The wall clock of a time zone, or (with None) of this machine.

    A wall time is a datetime without a time zone. Where clocks are set back, some wall times come twice;
    where they are set forward, some never come.
    """

    __slots__ = ("_tz",)

    def __init__(self, tz: tzinfo | None) -> None:
        self._tz = tz

    def wall(self, moment: int) -> datetime:
        """What the clock shows at a moment."""
        aware = _EPOCH + timedelta(microseconds=moment)
        return aware.astimezone(self._tz).replace(tzinfo=None, fold=0)

    def earliest_wall_after(self, moment: int) -> datetime:
        """A wall time that no wall time of a later moment comes before.

        That is what the clock shows, unless it is about to be set back.
        """
        return min(self.wall(moment), self.wall(moment + _AHEAD) - timedelta(microseconds=_AHEAD))

    def first(self, wall: datetime) -> int | None:
        """The moment at which the clock shows a time, the first if it comes twice; None if it never comes."""
        first, second = self._moment(wall, 0), self._moment(wall, 1)
        return first if first <= second else None

    def second(self, wall: datetime) -> int | None:
        """The moment at which the clock shows a time, the last if it comes twice; None if it never comes."""
        first, second = self._moment(wall, 0), self._moment(wall, 1)
        return second if first <= second else None

    def first_or_past(self, wall: datetime) -> int:
        """The moment at which the clock first shows a time, or at which it is set past it."""
        # A time that never comes gives a moment after the change with the offset of before, and vice versa.
        first, second = self._moment(wall, 0), self._moment(wall, 1)
        return first if first <= second else self._change_between(second, first)

    def _moment(self, wall: datetime, fold: int) -> int:
        # astimezone() reads a datetime without a time zone as this machine's, which is what None means here.
        return (wall.replace(tzinfo=self._tz, fold=fold).astimezone(UTC) - _EPOCH) // _MICROSECOND

    def _change_between(self, low: int, high: int) -> int:
        """The moment, after `low` and not after `high`, at which the clock is set, to the second."""
        before = self._offset(low)
        while high - low > SECOND:
            middle = (low + high) // 2 // SECOND * SECOND
            if middle <= low:
                break
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return high

    def _offset(self, moment: int) -> timedelta:
        return self.wall(moment) - (_EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None)


UTC_ZONE = Zone(UTC)
LOCAL_ZONE = Zone(None)


@lru_cache(maxsize=64)
def zone_named(name: str) -> Zone:
    """The clock of a zone of the IANA database, such as "Europe/Berlin".

    Raises:
        ValueError: if there is none of that name.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # most applications need none

    try:
        return Zone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"tz: there is no time zone {name!r}; give a name such as 'Europe/Berlin' (on a system without "
            "time zone data, install the package tzdata)"
        ) from None
