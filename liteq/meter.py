"""How often something may happen: in bursts, and so many times a second in the long run."""

from __future__ import annotations

import time


class Meter:
    """Allows `burst` at once and, after that, `rate` a second.

    Args:
        burst: how many at once.
        rate: how many a second.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = float(burst)
        self._rate = rate
        self._left = float(burst)
        self._at = time.monotonic()

    def allows(self, number: int = 1) -> bool:
        """Whether it may happen so many times now, all or none; if so, they are counted.

        More than the burst are allowed when the burst is, so that no number is refused for ever.
        """
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        counted = min(number, self._burst)
        if self._left < counted:
            return False
        self._left -= counted
        return True
