"""When a periodic task is due: crontab expressions, read once into sets of numbers.

A datetime matches if each of its five parts is in the set of its field. Unlike cron, which joins a restricted
day of the month and a restricted day of the week by OR, every field has to match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

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


@dataclass(frozen=True, slots=True)
class Crontab:
    """A predicate of datetimes, true in the minutes that a crontab expression describes.

    It can be compared, hashed and pickled. `crontab` makes one from an expression; one made directly is
    not checked.

    Attributes:
        minutes: of 0 to 59.
        hours: of 0 to 23.
        days: of the month, 1 to 31.
        months: of 1 to 12.
        weekdays: of 0 (Sunday) to 6 (Saturday).
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def __call__(self, moment: datetime) -> bool:
        """Whether the datetime, as its own time zone or lack of one shows it, lies in a minute described."""
        return (
            moment.minute in self.minutes
            and moment.hour in self.hours
            and moment.day in self.days
            and moment.month in self.months
            and moment.isoweekday() % 7 in self.weekdays
        )

    def __repr__(self) -> str:
        fields = (_MINUTE, _HOUR, _DAY, _MONTH, _DAY_OF_WEEK)
        sets = zip(fields, (self.minutes, self.hours, self.days, self.months, self.weekdays), strict=True)
        restricted = (f"{f.keyword}={_spell(numbers)!r}" for f, numbers in sets if len(numbers) < f.period)
        return f"crontab({', '.join(restricted)})"


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
    ) -> Crontab:
        """Make the predicate that is true for datetimes that match all five fields.

        Args:
            minute: 0 to 59.
            hour: 0 to 23.
            day: the day of the month, 1 to 31.
            month: 1 to 12, or names.
            day_of_week: 0 (Sunday) to 6 (Saturday) and 7 (Sunday again), or names.
            strict: raise for a piece that cannot be read, instead of ignoring it.

        Raises:
            TypeError: if a field is neither a text nor an int.
            ValueError: if a number is out of range, a step is zero, `day_of_week` has a `*/n`, a field
                matches no values, or, if `strict`, a piece cannot be read.
        """
        return Crontab(
            minutes=_numbers(_MINUTE, minute, strict),
            hours=_numbers(_HOUR, hour, strict),
            days=_numbers(_DAY, day, strict),
            months=_numbers(_MONTH, month, strict),
            weekdays=_numbers(_DAY_OF_WEEK, day_of_week, strict),
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
