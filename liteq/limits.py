"""Rate limits that hold for all processes together, and counters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, Self, TypeVar, cast

from liteq import clock
from liteq.bounds import shown
from liteq.exceptions import RateLimitExceeded
from liteq.functions import is_coroutine_function
from liteq.identity import own_identity
from liteq.slots import checked_limit, checked_name
from liteq.storage.base import Instant, Storage
from liteq.storage.contract.limits import LARGEST_COUNT

F = TypeVar("F", bound=Callable[..., Any])


class LimitHost(Protocol):
    """What a rate limit needs of the queue that it belongs to."""

    storage: Storage


class RateLimit:
    """Something may happen `limit` times in any `per` seconds, in all processes together.

    As a decorator or context manager, it counts the calls or entries. The time counts on while the machine
    sleeps, and does not heed the wall clock being set. Wherever the same name is used, limit and per have
    to be the same.

    Args:
        huey: the queue.
        name: the rate limit.
        limit: how often.
        per: in how many seconds.
        retry: a task that is refused runs again when there is room; that uses up none of its retries.

    Raises:
        TypeError: if the name is not a text.
        ValueError: if it is empty, limit is not 1 or more, or per is not more than 0.
    """

    def __init__(
        self, huey: LimitHost, name: str, limit: int, per: float | timedelta, retry: bool = True
    ) -> None:
        self._huey = huey
        self._name = checked_name(name, "rate limit")
        self._limit = checked_limit(limit, "limit")
        self._per = clock.duration_us(per, "per")
        self._retry = retry

    def __repr__(self) -> str:
        return f"<RateLimit {self._name!r}: {self._limit} in {self._per / clock.SECOND:g} s>"

    def acquire(self) -> None:
        """Count one more, or refuse it; what is refused does not count.

        Raises:
            RateLimitExceeded: its `delay` is the number of seconds until there is room again.
        """
        wait = self._huey.storage.hit(self._name, limit=self._limit, per=self._per, clock=instant)
        if wait:
            raise RateLimitExceeded(self._name, wait / clock.SECOND, self._retry)

    def current_usage(self) -> int:
        """How many there were in the last `per` seconds."""
        return self._huey.storage.hits(self._name, per=self._per, now=instant())

    def reset(self) -> None:
        """Begin anew, as if there had been none."""
        self._huey.storage.clear_hits(self._name)

    def __call__(self, fn: F) -> F:
        """As a decorator: count each call."""
        if is_coroutine_function(fn):

            @functools.wraps(fn)
            async def count_and_await(*args: Any, **kwargs: Any) -> Any:
                self.acquire()
                return await fn(*args, **kwargs)

            return cast("F", count_and_await)

        @functools.wraps(fn)
        def count(*args: Any, **kwargs: Any) -> Any:
            self.acquire()
            return fn(*args, **kwargs)

        return cast("F", count)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        """Do nothing: what has happened counts."""


def instant() -> Instant:
    """Now, in a way that can be compared across processes and boots."""
    boot, _, _ = own_identity().host.partition("/")
    return Instant(boot, clock.since_boot(), clock.now())


def _checked_amount(amount: Any) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int) or abs(amount) > LARGEST_COUNT:
        raise ValueError(f"amount must be a whole number of 64 bits, not {shown(amount)}")
    return amount


class Limits:
    """The part of the queue's surface about rate limits and counters."""

    storage: Storage

    def rate_limit(self, name: str, limit: int, per: float | timedelta, retry: bool = True) -> RateLimit:
        """A rate limit, for use as a decorator below `@huey.task()` or context manager; see `RateLimit`."""
        return RateLimit(self, name, limit, per, retry)

    def incr(self, key: str, amount: int = 1) -> int:
        """Add to a counter, which begins at 0; what it is then. Counters are no results: `get` knows none.

        Raises:
            TypeError: if the key is not a text.
            ValueError: if the amount is not a whole number of 64 bits.
            OverflowError: if the counter would not be one any more; it is then as before.
        """
        return self.storage.incr(checked_name(key, "counter"), _checked_amount(amount))

    def counter(self, key: str) -> int:
        """What a counter is; 0 if there is none."""
        return self.storage.counter(key)

    def delete_counter(self, key: str) -> bool:
        """Remove a counter; whether there was one."""
        return self.storage.delete_counter(key)
