"""When a failed task runs again: pure arithmetic."""

from __future__ import annotations

from typing import NamedTuple

_LONGEST = 100 * 365.25 * 86400
"""Seconds. A back-off without a bound must not count past the end of the calendar."""


class Retry(NamedTuple):
    """The next attempt: how long to wait for it, and the delay that the one after it starts from."""

    delay: float
    """Seconds."""
    next_delay: float
    """Seconds."""


def next_retry(
    retry_delay: float,
    backoff: float,
    explicit: float | None = None,
    *,
    longest: float | None = None,
    jitter: float = 0,
    draw: float = 0,
) -> Retry:
    """The delay before retry n is `retry_delay * backoff ** (n - 1)`, but not more than `longest`.

    Jitter takes a random part of it away, so that tasks that failed together do not come back together.

    Args:
        retry_delay: seconds before this retry.
        backoff: what they are multiplied by for the one after it; 0 leaves them as they are.
        explicit: a delay of RetryTask or of a rate limit: used as it is, and not a part of the series.
        longest: seconds that a delay may have.
        jitter: the part of the delay that chance decides on, from 0 to 1.
        draw: a random number from 0 to 1.
    """
    if explicit is not None:
        return Retry(max(0.0, explicit), retry_delay)
    longest = _LONGEST if longest is None else longest
    delay = min(retry_delay, longest)
    return Retry(delay * (1 - jitter * draw), min(delay * backoff, longest) if backoff else retry_delay)
