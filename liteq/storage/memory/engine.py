"""A queue in the memory of one process: for immediate mode, and for the tests of applications."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from liteq.identity import Identity
from liteq.storage.base import Capabilities, DeadTask, Instant, Storage
from liteq.storage.contract.misspelt import refuse_unknown
from liteq.storage.contract.records import KEPT_BY_DEFAULT, checked_duration, retention
from liteq.storage.memory.events import EventVerbs
from liteq.storage.memory.messages import MessageVerbs
from liteq.storage.memory.periodic import PeriodicVerbs

READING = frozenset(
    {
        "consumers", "counter", "counts", "data_of", "dead", "ended", "ends_of", "entries", "entry",
        "expired", "held", "history", "hits", "is_claimed", "is_live", "locks", "next_due", "paused",
        "peek_result", "pending", "pending_count", "progress", "result_count", "results", "revocations",
        "revoked_claims", "running", "running_count", "scheduled", "scheduled_count", "standing",
        "timetable_version", "top_priority", "waiting_count",
    }
)  # fmt: skip
"""The verbs that change nothing."""


def _surrounded(verb: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(verb)
    def run(self: MemoryStorage, *args: Any, **kwargs: Any) -> Any:
        with self.around(verb.__name__):
            return verb(self, *args, **kwargs)

    return run


class MemoryStorage(MessageVerbs, PeriodicVerbs, EventVerbs, Storage):
    """A queue that lives and ends with this process; any of its threads may use it.

    A batch keeps the other threads out until it ends; what it did before it raised is not undone.

    Args:
        name: the queue.
        expire_time: seconds after which the results of tasks expire; None: they stay until they are read.
        history: how many ended attempts are remembered; 0 is none.
        history_age: seconds for which they are remembered; None is no bound.
        **options: none.

    Raises:
        ConfigurationError: if it is given an option that it does not have.
    """

    capabilities = Capabilities(durable=False, shared=False, events=True)

    def __init__(
        self,
        name: str = "huey",
        *,
        expire_time: float | None = None,
        history: int = KEPT_BY_DEFAULT,
        history_age: float | None = None,
        **options: Any,
    ) -> None:
        refuse_unknown(type(self), options)
        self.name = name
        self.expire_time = checked_duration("expire_time", expire_time)
        self.retention = retention(history, history_age)
        super().__init__()

    def around(self, verb: str) -> AbstractContextManager[object]:  # noqa: ARG002 -- for those who override it
        """What the verb of a name runs in: a lock, which keeps the other threads out.

        Backends that keep the tables elsewhere are built on this one, by another `around` and `batch`.
        """
        return self._lock

    def describe(self) -> str:
        return f"queue {self.name!r} in memory: it ends with this process"

    def close(self) -> None:
        """Do nothing: there are no connections."""

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:  # noqa: ARG002 -- nothing here is
        with self._lock:
            yield

    def prune(self, limit: int, *, now: Instant, monotonic: int) -> int:
        over = [key for key, (_, end) in self._results.items() if end is not None and end <= now.wall]
        for result in over[:limit]:
            self._remove(self._results, result)
        ended = [key for key, holder in self._locks.items() if holder.has_expired(monotonic)]
        for lock in ended[:limit]:
            self._remove(self._locks, lock)
        return len(over[:limit]) + len(ended[:limit]) + self._prune_hits(limit, now)

    def register(self, consumer: Identity) -> int:
        self._last_owner += 1
        self._consumers[self._last_owner] = (consumer, None)
        self._changes.add()
        return self._last_owner

    def attend(self, owner: int, dispatcher: Identity) -> None:
        if owner in self._consumers:
            self._consumers[owner] = (self._consumers[owner][0], dispatcher)
            self._changes.add()

    def unregister(self, owner: int) -> None:
        self._remove(self._consumers, owner)

    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        return dict(self._consumers)

    def pending(self, limit: int | None = None) -> list[bytes]:
        return [message.data for _, _, message in self._all_ready()[:limit]]

    def pending_count(self) -> int:
        return self.counts().ready

    def scheduled(self, limit: int | None = None) -> list[bytes]:
        return [message.data for _, _, message in sorted(self._scheduled)[:limit]]

    def scheduled_count(self) -> int:
        return len(self._scheduled)

    def running_count(self) -> int:
        return len(self._claims)

    def dead(self, limit: int | None = None) -> list[DeadTask]:
        latest = sorted(((task.died, seq, task) for seq, (task, _) in self._dead.items()), reverse=True)
        return [task for _, _, task in latest[:limit]]

    def delete_dead(self, ids: Sequence[str]) -> int:
        wanted = frozenset(ids)
        return self._delete_dead([seq for seq, (dead, _) in self._dead.items() if dead.id in wanted])

    def delete_dead_before(self, died: int, limit: int) -> int:
        return self._delete_dead([seq for seq, (dead, _) in self._dead.items() if dead.died < died][:limit])

    def _delete_dead(self, seqs: list[int]) -> int:
        for seq in seqs:
            dead, _ = self._dead.pop(seq)
            self._revocations.pop(f"r:{dead.id}", None)
        return len(seqs)

    def flush(self) -> None:
        self._clear()
        self._changes.add()


for _verb in Storage.__abstractmethods__ | {"prune"}:  # all of them, so that none can forget the lock
    setattr(MemoryStorage, _verb, _surrounded(getattr(MemoryStorage, _verb)))
