"""What a queue in memory consists of, and who waits for its changes."""

from __future__ import annotations

from collections import Counter, deque
from threading import Condition, RLock
from typing import Any, NamedTuple

from liteq.identity import Identity
from liteq.messages import Claim, ClaimKey, MemberEnd, Message, Revocation
from liteq.storage.base import DeadTask, Holder, Instant
from liteq.storage.contract.records import Entry, Progress, Retention

Line = list[tuple[int, int, Message]]
"""A heap of messages by rank (priority or due time) and seq; seqs differ, so messages are never compared."""
Placed = list[tuple[Line, int, Message]]  # new messages, each with its line and its rank there


class Hit(NamedTuple):
    """A hit of a rate limit."""

    at: Instant
    per: int
    """Microseconds for which it counts, by the limit of then."""


class Changes:
    """Counts the changes, and wakes whoever waits for the next one (a `Wakeup`); `add` needs the lock."""

    watching = True

    def __init__(self, lock: RLock) -> None:
        self._condition = Condition(lock)
        self._count = 0

    def add(self) -> None:
        """Count a change."""
        self._count += 1
        self._condition.notify_all()

    def ticket(self) -> int:
        """See `Wakeup`."""
        with self._condition:
            return self._count

    def wait(self, ticket: int, timeout: float) -> bool:
        """See `Wakeup`."""
        with self._condition:
            return self._condition.wait_for(lambda: self._count != ticket, timeout)


class Tables:
    """The tables, and the lock under which every verb runs; the verbs stand in subclasses, by concern."""

    name: str
    expire_time: int | None
    retention: Retention

    def __init__(self) -> None:
        self._lock = RLock()
        self._changes = Changes(self._lock)
        self._pauses: set[str | None] = set()
        self._last_seq = self._last_owner = self._last_entry = 0
        self._consumers: dict[int, tuple[Identity, Identity | None]] = {}
        self._slots: dict[str, int] = {}
        self._timetable: dict[str, str] = {}
        self._timetable_version = 0
        self._clear()

    def contents(self) -> dict[str, Any]:
        """All that the queue consists of, table by table."""
        return {name: table for name, table in vars(self).items() if name in _TABLES}

    def set_contents(self, contents: dict[str, Any]) -> None:
        """Be the queue that `contents` gave."""
        vars(self).update(contents)

    def _clear(self) -> None:
        # Not the consumers and the pauses, which live on, nor the numbers of messages, owners and entries,
        # which are never used again, nor what is known of periodic tasks.
        self._ready, self._scheduled = Line(), Line()
        self._waiting: dict[str, tuple[int, Message]] = {}  # by id, with the seq
        self._ends: dict[int, dict[int, MemberEnd]] = {}  # of callbacks in any state, by seq and position
        self._claims: dict[int, tuple[Claim, Message]] = {}
        self._leases: dict[int, int] = {}
        self._dead: dict[int, tuple[DeadTask, Message]] = {}
        self._live: Counter[str] = Counter()
        self._results: dict[str, tuple[bytes, int | None]] = {}
        self._revocations: dict[str, Revocation] = {}
        self._locks: dict[tuple[str, str], Holder] = {}
        self._hits: dict[str, deque[Hit]] = {}
        self._counters: dict[str, int] = {}
        self._parked: dict[str, Line] = {}
        self._history: deque[Entry] = deque()
        self._progress: dict[int, Progress] = {}
        self._starts: dict[int, tuple[int, int]] = {}

    def _holds(self, key: ClaimKey) -> bool:
        """Whether a claim is still what it was."""
        claim, _ = self._claims.get(key.seq, (None, None))
        return claim is not None and claim.key == key

    def _fresh(self, key: str, now: int) -> bytes | None:
        """The result of a key, if it has not expired."""
        value, expires = self._results.get(key, (None, None))
        return value if expires is None or expires > now else None

    def _remove(self, table: dict[Any, Any], key: object) -> bool:
        there = table.pop(key, None) is not None
        if there:
            self._changes.add()
        return there


_TABLES = frozenset(vars(Tables())) - {"_lock", "_changes"}
