"""Crontab expressions, read once into sets of numbers.

A datetime matches if each of its five parts is in the set of its field. Unlike cron, which joins a restricted
day of the month and a restricted day of the week by OR, every field has to match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, tzinfo
from functools import partial
from typing import Final, NamedTuple

from liteq.schedules.base import Schedule
from liteq.schedules.zone import LOCAL_ZONE, UTC_ZONE, to_us, zone_named

_EVERY = re.compile(r"\*(?:/(\d+))?")
_SPAN = re.compile(r"(\w+)(?:-(\w+)(?:/(\d+))?)?")


class _Field(NamedTuple):
    """One field of an expression, and the numbers and names that may stand in it."""

    keyword: str
    first: int
    last: int
    period: int
    """After how many numbers the field starts over; the day of the week accepts one number more."""
    names: str = ""
    """The names of the numbers from `first` on, in lower case, with spaces between."""

    def number(self, word: str) -> int | None:
        """The number that a word of digits or a name stands for, in range or not; None for any other word."""
        if word.isdecimal():
            return int(word)
        for number, name in enumerate(self.names.split(), self.first):
            if word.lower() in (name, name[:3]):
                return number
        return None

    def wrap(self, number: int) -> int:
        """The number of the field that a number counted on past its end stands for."""
        return self.first + (number - self.first) % self.period


_MINUTE = _Field("minute", 0, 59, 60)
_HOUR = _Field("hour", 0, 23, 24)
_DAY = _Field("day", 1, 31, 31)
_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTH = _Field("month", 1, 12, 12, _MONTH_NAMES)
_DAY_OF_WEEK = _Field("day_of_week", 0, 7, 7, "sunday monday tuesday wednesday thursday friday saturday")


_MONTHS_AHEAD = 12 * 41
"""After so many months every date has come on every day of the week, even a 29th of February."""


@dataclass(frozen=True, slots=True)
class Crontab(Schedule):
    """A predicate of datetimes, true in the minutes that a crontab expression describes; and their sequence.

    It can be compared, hashed and pickled. `crontab` makes one from an expression; one made directly is
    not checked.

    Attributes:
        minutes: of 0 to 59.
        hours: of 0 to 23.
        days: of the month, 1 to 31.
        months: of 1 to 12.
        weekdays: of 0 (Sunday) to 6 (Saturday).
        tz: the time zone, by its name; None leaves it to the queue.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    tz: str | None = None

    def next_after(self, moment: int, utc: bool = True) -> int | None:
        """The start of the next minute described; see `Schedule`.

        Where clocks are changed, an expression for certain hours gives one slot for each time that it
        describes: at the first of two, and for a time that never comes, when the clock is set past it. An
        expression for every hour goes on as time does: it takes no notice of clocks that skip or repeat.
        """
        zone = zone_named(self.tz) if self.tz else UTC_ZONE if utc else LOCAL_ZONE
        try:
            after = zone.earliest_wall_after(moment)
            if len(self.hours) < _HOUR.period:
                return self._search(after, moment, zone.first_or_past)
            found = self._search(after, moment, zone.first), self._search(after, moment, zone.second)
        except OverflowError:  # the last of all years
            return None
        return min((slot for slot in found if slot is not None), default=None)

    def _search(self, after: datetime, moment: int, slot_of: Callable[[datetime], int | None]) -> int | None:
        """The first slot later than `moment`, of the times described from `after` on."""
        for day in self._days(after.date()):
            for hour in sorted(self.hours):
                if day == after.date() and hour < after.hour:
                    continue
                for minute in sorted(self.minutes):
                    slot = slot_of(datetime(day.year, day.month, day.day, hour, minute))  # noqa: DTZ001 -- a wall time
                    if slot is not None and slot > moment:
                        return slot
        return None

    def _days(self, first: date) -> Iterator[date]:
        """The days described, from `first` on."""
        for number in range(_MONTHS_AHEAD):
            years, month = divmod(first.month - 1 + number, 12)
            year = first.year + years
            if month + 1 in self.months and year <= MAXYEAR:
                yield from (day for day in self._days_of(year, month + 1) if day >= first)

    def _days_of(self, year: int, month: int) -> Iterator[date]:
        for number in sorted(self.days):
            try:
                day = date(year, month, number)
            except ValueError:
                return  # the month is over
            if day.isoweekday() % 7 in self.weekdays:
                yield day

    def __call__(self, moment: datetime) -> bool:
        """Whether the datetime, as its own time zone or lack of one shows it, lies in a minute described.

        In a crontab with a time zone, a datetime of another one is converted first.
        """
        if self.tz and moment.tzinfo is not None:
            moment = zone_named(self.tz).wall(to_us(moment))
        return (
            moment.minute in self.minutes
            and moment.hour in self.hours
            and moment.day in self.days
            and moment.month in self.months
            and moment.isoweekday() % 7 in self.weekdays
        )

    def spelled(self) -> dict[str, str]:
        """The keywords with which `crontab` makes an equal one."""
        fields = (_MINUTE, _HOUR, _DAY, _MONTH, _DAY_OF_WEEK)
        sets = zip(fields, (self.minutes, self.hours, self.days, self.months, self.weekdays), strict=True)
        spelled = {field.keyword: _spell(numbers) for field, numbers in sets if len(numbers) < field.period}
        return spelled | ({"tz": self.tz} if self.tz else {})

    def __repr__(self) -> str:
        return f"crontab({', '.join(f'{keyword}={text!r}' for keyword, text in self.spelled().items())})"


class _CrontabFunction:
    """Makes a predicate of datetimes from a crontab expression.

    A field is an int or a comma-separated text of `*`, `*/n`, `a`, `a-b` and `a-b/n`. A range may wrap
    around: hour `22-2` is 22, 23, 0, 1, 2. `day_of_week` has no `*/n` and counts Sunday as 0 and as 7. Months
    and days of the week also go by name, in full or by the first three letters, in upper or lower case.
    """

    __slots__ = ()

    def __call__(
        self,
        minute: str | int = "*",
        hour: str | int = "*",
        day: str | int = "*",
        month: str | int = "*",
        day_of_week: str | int = "*",
        strict: bool = False,
        tz: str | tzinfo | None = None,
    ) -> Crontab:
        """Make the predicate that is true for datetimes that match all five fields.

        Args:
            minute: 0 to 59.
            hour: 0 to 23.
            day: the day of the month, 1 to 31.
            month: 1 to 12, or names.
            day_of_week: 0 (Sunday) to 6 (Saturday) and 7 (Sunday again), or names.
            strict: raise for a piece that cannot be read, instead of ignoring it.
            tz: the time zone whose clock the fields describe, such as "Europe/Berlin" or a `ZoneInfo`;
                without one it is UTC, or local time in a queue with `utc=False`.

        Raises:
            TypeError: if a field is neither a text nor an int, or tz not a time zone of the IANA database.
            ValueError: if a number is out of range, a step is zero, `day_of_week` has a `*/n`, a field
                matches no values, there is no such time zone, or, if `strict`, a piece cannot be read.
        """
        return Crontab(
            minutes=_numbers(_MINUTE, minute, strict),
            hours=_numbers(_HOUR, hour, strict),
            days=_numbers(_DAY, day, strict),
            months=_numbers(_MONTH, month, strict),
            weekdays=_numbers(_DAY_OF_WEEK, day_of_week, strict),
            tz=_zone_name(tz),
        )

    @property
    def hourly(self) -> partial[Crontab]:
        """`crontab` at minute 0 unless told otherwise; takes the same keywords, raises the same errors."""
        return partial(self, minute="0")

    @property
    def daily(self) -> partial[Crontab]:
        """`crontab` at 0:00 unless told otherwise; takes the same keywords, raises the same errors."""
        return partial(self, minute="0", hour="0")


crontab: Final = _CrontabFunction()


def _zone_name(tz: str | tzinfo | None) -> str | None:
    """The name of a time zone that there is."""
    name = tz if tz is None or isinstance(tz, str) else getattr(tz, "key", None)
    if name is None and tz is not None:
        raise TypeError(f"tz must be a ZoneInfo or a name such as 'Europe/Berlin', not {tz!r}")
    if name is not None:
        zone_named(name)
    return name


def _numbers(field: _Field, value: str | int, strict: bool) -> frozenset[int]:
    """The numbers that the value of a field selects."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{field.keyword} must be a text or an int, not {value!r}")
    selected: set[int] = set()
    for piece in (part.strip() for part in str(value).split(",")):
        numbers = _read(field, piece)
        if numbers is not None:
            selected.update(map(field.wrap, numbers))
        elif strict:
            raise ValueError(f"{field.keyword}: cannot read {piece!r}; write *, */n, a, a-b or a-b/n")
    if not selected:
        raise ValueError(f"{field.keyword}: {value!r} matches no values of {field.first} to {field.last}")
    return frozenset(selected)


def _read(field: _Field, piece: str) -> range | None:
    """The numbers of one piece, counted on past the field's end by a wrapping range; None if unreadable."""
    if every := _EVERY.fullmatch(piece):
        if every[1] and field is _DAY_OF_WEEK:
            raise ValueError(
                f"{field.keyword}: {piece!r} is not supported; give the days, or a range as in 1-5/2"
            )
        return range(field.first, field.first + field.period, _step(field, piece, every[1]))
    if not (span := _SPAN.fullmatch(piece)):
        return None
    low, high = field.number(span[1]), field.number(span[2] or span[1])
    if low is None or high is None:
        return None
    if not (field.first <= low <= field.last and field.first <= high <= field.last):
        raise ValueError(f"{field.keyword}: {piece!r} is out of the range {field.first} to {field.last}")
    end = high if low <= high else high + field.period
    return range(low, end + 1, _step(field, piece, span[3]))


def _step(field: _Field, piece: str, digits: str | None) -> int:
    """The step of a piece, 1 if it has none."""
    step = int(digits or 1)
    if step == 0:
        raise ValueError(f"{field.keyword}: the step of {piece!r} must be 1 or more")
    return step


def _spell(numbers: frozenset[int]) -> str:
    """The pieces that select just these numbers."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
