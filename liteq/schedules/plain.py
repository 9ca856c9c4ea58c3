"""Schedules as plain values, in which they are stored."""

from __future__ import annotations

from typing import Any

from liteq.schedules.cron import Crontab, crontab
from liteq.schedules.interval import Every, every
from liteq.schedules.zone import SECOND


def to_plain(schedule: object) -> dict[str, Any]:
    """A dict that JSON can hold.

    Raises:
        TypeError: for anything but a `crontab` or an `every`: a function can't be stored.
    """
    match schedule:
        case Crontab():
            return {"crontab": schedule.spelled()}
        case Every():
            return {"every": schedule.interval / SECOND}
    raise TypeError(f"a schedule that is stored is a crontab(…) or an every(…), not {schedule!r}")


def from_plain(plain: object) -> Crontab | Every:
    """The schedule of a dict that `to_plain` made.

    Raises:
        TypeError: if it is of some other form.
        ValueError: if its values are none of a schedule.
    """
    match plain:
        case {"crontab": dict() as fields}:
            return crontab(**fields, strict=True)
        case {"every": seconds}:
            return every(seconds=seconds)
    raise TypeError(f"{plain!r} is not a schedule that this version of liteq knows")
