"""Names that applications import from here, as they did from huey."""

from __future__ import annotations

from datetime import datetime

from liteq import clock
from liteq.clock import normalize_time
from liteq.messages import SKIPPED, Error
from liteq.results import EmptyData
from liteq.tasks import Expires, Task


def is_naive(moment: datetime) -> bool:
    """Whether a datetime does not say which time zone it is of."""
    return moment.utcoffset() is None


def make_naive(moment: datetime) -> datetime:
    """The naive local datetime of an aware one; a naive one is taken as UTC."""
    return clock.from_us(clock.to_us(moment), utc=False)


def aware_to_utc(moment: datetime) -> datetime:
    """The naive datetime in UTC of an aware one; a naive one is taken as local time."""
    return clock.from_us(clock.to_us(moment, utc=False))


local_to_utc = aware_to_utc


def utcnow() -> datetime:
    """The current naive datetime in UTC."""
    return clock.naive_now()


def normalize_expire_time(expires: Expires, utc: bool = True) -> datetime | None:
    """The naive datetime after which a task of this `expires`, if it is enqueued now, must not start."""
    return Task(expires=expires).resolve_expires(utc)


__all__ = [
    "SKIPPED",
    "EmptyData",
    "Error",
    "aware_to_utc",
    "is_naive",
    "local_to_utc",
    "make_naive",
    "normalize_expire_time",
    "normalize_time",
    "utcnow",
]
