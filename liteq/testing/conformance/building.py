"""Short ways to make what the tests store, and to say what it becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from liteq.identity import Identity
from liteq.messages import Claim, ClaimKey, Disposition, Message, Outcome, Settlement
from liteq.storage.base import Storage

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
"""A time of the wall clock."""
LEASE = 500 * SECOND
"""A time of the monotonic clock."""
PATIENCE = 30
"""Seconds that a test waits for what must happen; far more than it takes."""


def message(id: str, **columns: Any) -> Message:
    """A message whose data is its id, unless the columns say otherwise."""
    return Message(**{"id": id, "name": "app.task", "data": id.encode(), **columns})


def identity(pid: int) -> Identity:
    return Identity("boot/pid:[4026531836]", pid, f"{pid}00")


def put(storage: Storage, *messages: Message | str) -> None:
    """Put messages, some by their ids; the test ends where they would be refused for their priorities."""
    batch = [message(m) if isinstance(m, str) else m for m in messages]
    _skip_if_refused(storage, batch)
    storage.put(batch, NOW)


def _skip_if_refused(storage: Storage, batch: Sequence[Message]) -> None:
    if not storage.capabilities.priorities and any(m.priority for m in batch):
        pytest.skip("this backend has no priorities")


def claim(storage: Storage, owner: int, limit: int = 100, **options: Any) -> list[Claim]:
    return storage.claim(owner, limit, **{"now": NOW, "lease": LEASE, **options})


def claim_one(storage: Storage, owner: int, **options: Any) -> Claim:
    """The one message that can be claimed."""
    (claimed,) = claim(storage, owner, **options)
    return claimed


def settle(storage: Storage, key: ClaimKey, disposition: Disposition = Disposition.DONE, **rest: Any) -> bool:
    """Settle one claim; `rest` is the rest of the outcome, and `now`."""
    now = rest.pop("now", NOW)
    _skip_if_refused(storage, rest.get("messages", ()))
    (held,) = storage.settle([settlement(key, disposition, **rest)], now)
    return held


def settlement(key: ClaimKey, disposition: Disposition = Disposition.DONE, **rest: Any) -> Settlement:
    return Settlement(key, Outcome(disposition, **{"status": "complete", **rest}))


def ids(claims: list[Claim]) -> list[str]:
    return [claimed.id for claimed in claims]


def counts(storage: Storage) -> dict[str, int]:
    """How many messages there are in each state, those with none left out."""
    numbers = {
        "ready": storage.pending_count(),
        "scheduled": storage.scheduled_count(),
        "waiting": storage.waiting_count(),
        "claimed": storage.running_count(),
        "dead": len(storage.dead()),
    }
    return {state: number for state, number in numbers.items() if number}


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work(0)`, `work(1)` … in threads that start together, and return what they return."""
    barrier = threading.Barrier(number)

    def run(index: int) -> Any:
        barrier.wait(PATIENCE)
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        futures = [pool.submit(run, index) for index in range(number)]
        return [future.result(2 * PATIENCE) for future in futures]
