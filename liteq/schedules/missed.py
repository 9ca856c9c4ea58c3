"""Slots that nobody was there for: which of them are made up for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum

from liteq.schedules.base import Schedule
from liteq.schedules.zone import MINUTE

GRACE = MINUTE
"""With `skip`, a slot that is late by so much is left out."""
MOST = 1000
"""As many missed slots are made up for at most, the latest ones."""


class Missed(StrEnum):
    """What becomes of slots that passed while no consumer ran, or while the machine slept."""

    SKIP = "skip"
    """They are left out; so are all but the latest of those that have just passed."""
    ONCE = "once"
    """The latest of them runs, late; it stands for all."""
    ALL = "all"
    """Each of them runs, late: the latest 1000 of them."""

    @classmethod
    def of(cls, name: str) -> Missed:
        """The policy of a name.

        Raises:
            ValueError: if there is none.
        """
        try:
            return cls(name)
        except ValueError:
            raise ValueError(f"missed must be 'skip', 'once' or 'all', not {name!r}") from None


def to_run(
    schedule: Schedule,
    missed: Missed,
    after: int,
    now: int,
    utc: bool = True,
    wanted: Callable[[int], bool] = lambda _: True,
) -> list[int]:
    """The slots later than `after` and not later than `now` that are to run, the earliest first.

    With `skip`, it is the latest one, if it is late by less than a minute.

    Args:
        schedule: whose slots.
        missed: the policy.
        after: everything up to this moment is dealt with.
        now: the present moment.
        utc: see `Schedule.next_after`.
        wanted: leaves out slots for which it is false.
    """
    if missed is Missed.SKIP:
        after = max(after, now - GRACE)
    most = MOST if missed is Missed.ALL else 1
    reach = GRACE
    while True:  # looks back farther and farther, so that a year of missed minutes need not be counted
        start = max(after, now - reach)
        slots = deque(filter(wanted, _between(schedule, start, now, utc)), maxlen=most)
        if len(slots) == most or start == after:
            return list(slots)
        reach *= 4


def _between(schedule: Schedule, start: int, end: int, utc: bool) -> Iterator[int]:
    slot = schedule.next_after(start, utc)
    while slot is not None and slot <= end:
        if slot <= start:
            raise ValueError(f"{schedule!r} says that {slot} comes after {start}")
        yield slot
        start = slot
        slot = schedule.next_after(start, utc)
