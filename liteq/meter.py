"""How often something may happen: in bursts, and so many times a second in the long run."""

from __future__ import annotations

import time


class Meter:
    """Allows `burst` at once and, after that, `rate` a second.

    Args:
        burst: how many at once.
        rate: how many a second.
    """

    def __init__(self, burst: int, rate: float) -> None:
        self._burst = float(burst)
        self._rate = rate
        self._left = float(burst)
        self._at = time.monotonic()

    def allows(self) -> bool:
        """Whether it may happen now; if so, it is counted."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
