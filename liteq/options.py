"""The values of options that decide how a task runs: what can't work is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from liteq import clock
from liteq.bounds import check_line, check_whole

OF_A_CALL = ("retries", "retry_delay", "retry_backoff", "priority", "expires", "timeout")
"""What a declaration says of its tasks, and a call may say otherwise."""
RESERVED = ("id", *OF_A_CALL)
"""The keywords of a call, besides `eta` and `delay`, that are the queue's and not the function's."""


def _duration(name: str, value: Any) -> None:
    clock.seconds_of(value, name)


def _retries(name: str, value: Any) -> None:
    check_whole(name, value, least=0)


def _expires(name: str, value: Any) -> None:
    if not isinstance(value, datetime):
        clock.seconds_of(value, name)


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text that is not empty, not {value!r}")
    check_line(name, value)


def _fraction(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "id": _text,
    "name": _text,
    "retries": _retries,
    "retry_delay": _duration,
    "retry_backoff": _duration,
    "retry_max_delay": _duration,
    "retry_jitter": _fraction,
    "priority": check_whole,
    "expires": _expires,
    "timeout": _duration,
}


def check_options(**options: Any) -> None:
    """Refuse values that could not work, where they are given and not where they would fail.

    None says nothing; options of other names are not looked at.

    Raises:
        ValueError: naming the option, the value and what it may be.
    """
    for name, value in options.items():
        check = _CHECKS.get(name)
        if value is not None and check is not None:
            check(name, value)
