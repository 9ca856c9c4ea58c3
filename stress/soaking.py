"""An application that uses all of liteq; `stress.mixing` keeps it busy.

Results that nobody reads expire, the history is short, and what is dead is deleted: so whatever grows in the
long run is a leak.
"""

from __future__ import annotations

from typing import Any

from liteq import RateLimitExceeded, SqliteHuey, TaskLockedException, every
from liteq.locks import TaskSemaphore
from stress.patched import patch
from stress.settings import Settings

SETTINGS = Settings.of_environment()
KEPT = 50
"""Entries of the history."""
EXPIRY = 1.0
"""Seconds after which a result expires."""

huey = SqliteHuey(
    filename=f"{SETTINGS.folder}/queue.db",
    durability=SETTINGS.durability,
    expire_time=EXPIRY,
    history=KEPT,
)


@huey.task()
def work(number: int, text: str = "") -> tuple[int, str]:
    """Give back what it gets."""
    return number, text


@huey.task(retries=1, retry_delay=0.05)
def fail() -> None:
    """Fail twice."""
    raise RuntimeError("as it has to")


@huey.task(at_most_once=True)
def once(number: int) -> int:
    """Must not repeat."""
    return number


@huey.task()
def tell(steps: int) -> None:
    """Report progress."""
    for step in range(steps):
        huey.set_progress(step, steps, note=f"step {step}")


@huey.task()
def limited(number: int) -> None:
    """Use a lock, a semaphore and a rate limit, of a few names each."""
    try:
        with huey.lock_task(f"lock {number % 7}"):
            huey.rate_limit(f"rate {number % 5}", 20, 0.5).acquire()
    except (TaskLockedException, RateLimitExceeded):
        pass
    semaphore = TaskSemaphore(huey, f"semaphore {number % 3}", 2)
    place = semaphore.acquire()
    if place is not None:
        semaphore.release(place)


@huey.task()
def paused_now_and_then(number: int) -> int:
    """See `stress.mixing`."""
    return number


@huey.task()
def add_up(values: list[Any]) -> int:
    """The callback of a chord."""
    return len(values)


@huey.periodic_task(every(seconds=0.2))
def tick() -> None:
    """Fires all the time."""


patch()
