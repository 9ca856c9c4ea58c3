"""The verbs that count: what may happen so often in a time, and counters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

LARGEST_COUNT = 2**63 - 1


class Instant(NamedTuple):
    """A point in time that can be compared with others whatever becomes of the wall clock in between."""

    boot: str
    """Which boot of the machine."""
    ticks: int
    """Microseconds since then, those in which it slept included."""
    wall: int
    """Microseconds of UTC."""

    def since(self, earlier: Instant) -> int:
        """Microseconds since an earlier instant; since the boot if nothing better is known."""
        if self.boot == earlier.boot:
            return self.ticks - earlier.ticks
        elapsed = self.wall - earlier.wall
        return elapsed if elapsed >= 0 else self.ticks  # the clock was set back, or was wrong before


class LimitContract(ABC):
    """Rate limits and counters, by name; the two have nothing in common but that they count."""

    @abstractmethod
    def hit(self, name: str, *, limit: int, per: int, clock: Callable[[], Instant]) -> int:
        """Note a hit, unless there were `limit` in the last `per` microseconds; then, how long to wait.

        0 means that it was noted. What is refused is not counted. The clock is read once the hit has its
        turn: the time for which it had to wait for others is none of its age. So no span of `per` ever holds
        more than `limit` hits, whoever makes them.
        """

    @abstractmethod
    def hits(self, name: str, *, per: int, now: Instant) -> int:
        """How many hits there were in the last `per` microseconds."""

    @abstractmethod
    def clear_hits(self, name: str) -> bool:
        """Forget the hits of a name; whether there were any."""

    @abstractmethod
    def incr(self, key: str, amount: int = 1) -> int:
        """Add to a counter, which begins at 0; what it is then.

        Raises:
            OverflowError: if it would leave the range of 64 bits; it is then as before.
        """

    @abstractmethod
    def counter(self, key: str) -> int:
        """What a counter is; 0 if there is none."""

    @abstractmethod
    def delete_counter(self, key: str) -> bool:
        """Remove a counter; whether there was one."""


def added(value: int, amount: int) -> int:
    """A counter's next value.

    Raises:
        OverflowError: if it would leave the range of 64 bits.
    """
    total = value + amount
    if not -LARGEST_COUNT - 1 <= total <= LARGEST_COUNT:
        raise OverflowError(f"a counter holds 64 bits, and {value} + {amount} are more")
    return total
