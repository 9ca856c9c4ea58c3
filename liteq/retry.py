"""When a failed task runs again: pure arithmetic."""

from __future__ import annotations

from typing import NamedTuple


class Retry(NamedTuple):
    """The next attempt: how long to wait for it, and the delay that the one after it starts from."""

    delay: float
    """Seconds."""
    next_delay: float
    """Seconds."""


def next_retry(retry_delay: float, backoff: float, explicit: float | None = None) -> Retry:
    """The delay before retry n is `retry_delay * backoff ** (n - 1)`.

    An explicit delay (of RetryTask, of a rate limit) is used in its place and does not advance the series.
    """
    if explicit is not None:
        return Retry(max(0.0, explicit), retry_delay)
    return Retry(retry_delay, retry_delay * backoff if backoff else retry_delay)
