"""Waiting for a condition, and telling how far a hazard is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_OFTEN, _SELDOM = 0.5, 10.0


def wait_until(condition: Callable[[], object], timeout: float = 60) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: if it does not come true.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain")
        time.sleep(0.01)


class Progress:
    """Tells on standard error what a hazard has done so far: twice a second on a terminal, else seldom."""

    def __init__(self, hazard: str, seconds: float) -> None:
        self._hazard = hazard
        self._seconds = seconds
        self._start = self._told = time.monotonic()

    def tell(self, faults: int, acknowledged: int) -> None:
        """Say it, if it is time to."""
        now = time.monotonic()
        live = sys.stderr.isatty()
        if now - self._told < (_OFTEN if live else _SELDOM):
            return
        self._told = now
        text = f"{self._hazard}: {now - self._start:.0f} of {self._seconds:g} s, {faults:,} faults"
        text += f", {acknowledged:,} acknowledged" if acknowledged else ""
        sys.stderr.write(f"\r{text}\033[K" if live else f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line to what comes next."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
