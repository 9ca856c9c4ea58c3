"""A queue in the memory of one process: for immediate mode, and for the tests of applications."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import functools
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition, RLock
from typing import Any

from liteq import clock
from liteq.exceptions import ConfigurationError
from liteq.identity import Identity
from liteq.messages import Claim, ClaimKey, Disposition, Message, Revocation, Settlement
from liteq.storage.base import Capabilities, DeadTask, Storage

_Line = list[tuple[int, int, Message]]
"""A heap of messages by rank (priority or due time) and seq; seqs differ, so messages are never compared."""
_Placed = list[tuple[_Line, int, Message]]  # new messages, each with its line and its rank there


class _Changes:
    """Counts the changes, and wakes whoever waits for the next one (a `Wakeup`); `add` needs the lock."""

    watching = True

    def __init__(self, lock: RLock) -> None:
        self._condition = Condition(lock)
        self._count = 0

    def add(self) -> None:
        self._count += 1
        self._condition.notify_all()

    def ticket(self) -> int:
        with self._condition:
            return self._count

    def wait(self, ticket: int, timeout: float) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: self._count != ticket, timeout)


def _locked(verb: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(verb)
    def run(self: MemoryStorage, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return verb(self, *args, **kwargs)

    return run


class MemoryStorage(Storage):
    """A queue that lives and ends with this process; any of its threads may use it.

    A batch keeps the other threads out until it ends; what it did before it raised is not undone.

    Raises:
        ConfigurationError: if it is given an option that it does not have.
    """

    capabilities = Capabilities(durable=False, shared=False)

    def __init__(self, name: str = "huey", **options: Any) -> None:
        if options:
            raise ConfigurationError(f"the memory storage has no option {', '.join(sorted(options))}")
        self.name = name
        self._lock = RLock()
        self._changes = _Changes(self._lock)
        self._last_seq = self._last_owner = 0
        self._consumers: dict[int, tuple[Identity, Identity | None]] = {}
        self._clear()

    def _clear(self) -> None:
        # Not the consumers, which live on, nor the numbers of messages and owners, which fence old claims.
        self._ready, self._scheduled = _Line(), _Line()
        self._claims: dict[int, tuple[Claim, Message]] = {}
        self._leases: dict[int, int] = {}
        self._dead: dict[int, tuple[DeadTask, Message]] = {}
        self._live: Counter[str] = Counter()
        self._results: dict[str, tuple[bytes, int | None]] = {}
        self._revocations: dict[str, Revocation] = {}
        self._slots: dict[str, int] = {}

    def describe(self) -> str:
        return f"queue {self.name!r} in memory: it ends with this process"

    def close(self) -> None:
        """Do nothing: there are no connections."""

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:  # noqa: ARG002 -- nothing here is
        with self._lock:
            yield

    def put(self, messages: Sequence[Message], now: int) -> None:
        self._add(self._placed(messages, now))

    def claim(
        self, owner: int, limit: int, *, now: int, lease: int, startable: int | None = None
    ) -> list[Claim]:
        for seq, message in self._pop_due(now):
            self._make_ready(seq, message)
        claims: list[Claim] = []
        while self._ready and len(claims) < limit:
            _, seq, message = self._ready[0]
            if message.at_most_once and startable is not None and len(claims) >= startable:
                break
            heapq.heappop(self._ready)
            claims.append(self._hold(seq, message, owner, now, lease))
        return claims

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        placed = [self._placed(settlement.outcome.messages, now) for settlement in settlements]
        return [self._end(*pair, now) for pair in zip(settlements, placed, strict=True)]

    def apply(self, settlement: Settlement, now: int) -> None:
        self._store(settlement, self._placed(settlement.outcome.messages, now))

    def extend(self, owner: int, lease: int) -> int:
        own = self.held(owner)
        for claim in own:
            self._leases[claim.seq] = lease
            self._changes.add()
        return len(own)

    def held(self, owner: int) -> list[Claim]:
        own = [claim for claim, _ in self._claims.values() if claim.owner == owner]
        return sorted(own, key=lambda claim: (-claim.priority, claim.seq))

    def data_of(self, key: ClaimKey) -> bytes | None:
        claim, _ = self._claims.get(key.seq, (None, None))
        return claim.data if claim is not None and claim.key == key else None

    def top_priority(self) -> int | None:
        return -self._ready[0][0] if self._ready else None

    def expired(self, now_monotonic: int) -> list[Claim]:
        return [claim for seq, (claim, _) in self._claims.items() if self._leases[seq] <= now_monotonic]

    def next_due(self) -> int | None:
        return self._scheduled[0][0] if self._scheduled else None

    def revive(self, ids: Sequence[str]) -> int:
        wanted = frozenset(ids)
        seqs = [seq for seq, (dead, _) in self._dead.items() if dead.id in wanted]
        for seq in seqs:
            _, message = self._dead.pop(seq)
            self._count(message, 1)
            self._make_ready(seq, message._replace(crashes=0))
        return len(seqs)

    def _placed(self, messages: Sequence[Message], now: int) -> _Placed:
        """Look at every message, so that a faulty one raises before anything is stored."""
        return [
            (self._ready, -m.priority, m) if m.due is None or m.due <= now else (self._scheduled, m.due, m)
            for m in messages
        ]

    def _add(self, placed: _Placed) -> None:
        for line, rank, message in placed:
            self._last_seq += 1
            heapq.heappush(line, (rank, self._last_seq, message))
            self._count(message, 1)

    def _make_ready(self, seq: int, message: Message) -> None:
        heapq.heappush(self._ready, (-message.priority, seq, message))
        self._changes.add()

    def _pop_due(self, now: int) -> list[tuple[int, Message]]:
        due = []
        while self._scheduled and self._scheduled[0][0] <= now:
            due.append(heapq.heappop(self._scheduled)[1:])
        return due

    def _hold(self, seq: int, message: Message, owner: int, now: int, lease: int) -> Claim:
        message = message._replace(attempt=message.attempt + 1)
        id, name, data, priority, _, at_most_once, chain, attempt, crashes = message
        revoked = self._use_revocation(message, now)
        claim = Claim(seq, attempt, owner, id, name, data, priority, crashes, at_most_once, revoked, chain)
        self._claims[seq], self._leases[seq] = (claim, message), lease
        self._changes.add()
        return claim

    def _end(self, settlement: Settlement, placed: _Placed, now: int) -> bool:
        (seq, *_), outcome = settlement
        if self.data_of(settlement.key) is None:
            return False
        _, message = self._claims.pop(seq)
        del self._leases[seq]
        crashed = outcome.disposition == Disposition.CRASHED or outcome.status == "crashed"
        message = message._replace(crashes=message.crashes + crashed)
        if outcome.disposition in {Disposition.BACK, Disposition.CRASHED}:
            self._make_ready(seq, message)
        else:
            self._count(message, -1)
            if outcome.disposition == Disposition.DEAD:
                id, name, data, *_, attempt, crashes = message
                self._dead[seq] = DeadTask(id, name, data, attempt, crashes, now, outcome.reason), message
            elif outcome.status != "retrying":
                self._revocations.pop(f"r:{message.id}", None)
        self._store(settlement, placed)
        return True

    def _store(self, settlement: Settlement, placed: _Placed) -> None:
        for key, value in settlement.outcome.results:
            self.put_result(key, value)
        self._add(placed)

    def _count(self, message: Message, by: int) -> None:
        """Keep count of how many messages, dead ones aside, are or carry each id."""
        for id in (message.id, *message.chain):
            self._live[id] += by
            if not self._live[id]:
                del self._live[id]
        self._changes.add()

    def _use_revocation(self, message: Message, now: int) -> bool:
        """Whether the message is revoked. The once of a whole task becomes the message's own."""
        own, task = f"r:{message.id}", f"rt:{message.name}"
        revoked_by = [key for key, it in self.revocations([own, task]).items() if it.holds(now)]
        if revoked_by == [task] and self._revocations[task].once:
            self._revocations[own] = self._revocations.pop(task)
        return bool(revoked_by)

    def _remove(self, table: dict[Any, Any], key: object) -> bool:
        there = table.pop(key, None) is not None
        if there:
            self._changes.add()
        return there

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

    def take_slot(self, name: str, slot: int) -> bool:
        later = name not in self._slots or not slot <= self._slots[name] <= slot + 1440
        if later:
            self._slots[name] = slot
            self._changes.add()
        return later

    def know_slot(self, name: str, slot: int) -> None:
        if name not in self._slots:
            self.take_slot(name, slot)

    def put_result(self, key: str, value: bytes) -> None:
        self._results[key] = (value, None)
        self._changes.add()

    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        if self._fresh(key, now) is not None:
            return False
        self._results[key] = (value, expires)
        self._changes.add()
        return True

    def peek_result(self, key: str) -> bytes | None:
        return self._fresh(key, clock.now())

    def pop_result(self, key: str) -> bytes | None:
        value = self.peek_result(key)
        self._remove(self._results, key)
        return value

    def delete_result(self, key: str) -> bool:
        return self.pop_result(key) is not None

    def results(self) -> dict[str, bytes]:
        now = clock.now()
        return {key: value for key, (value, end) in self._results.items() if end is None or end > now}

    def result_count(self) -> int:
        return len(self.results())

    def _fresh(self, key: str, now: int) -> bytes | None:
        value, expires = self._results.get(key, (None, None))
        return value if expires is None or expires > now else None

    def is_live(self, id: str) -> bool:
        return id in self._live

    def results_wakeup(self) -> _Changes:
        return self._changes

    def work_source(self) -> None:
        """None: no other process can bring work."""

    def version(self) -> int:
        return self._changes.ticket()

    def revoke(self, key: str, revocation: Revocation) -> None:
        self._revocations[key] = revocation
        self._changes.add()

    def restore(self, key: str) -> bool:
        return self._remove(self._revocations, key)

    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        return {key: self._revocations[key] for key in keys if key in self._revocations}

    def pending(self, limit: int | None = None) -> list[bytes]:
        return [message.data for _, _, message in sorted(self._ready)[:limit]]

    def pending_count(self) -> int:
        return len(self._ready)

    def scheduled(self, limit: int | None = None) -> list[bytes]:
        return [message.data for _, _, message in sorted(self._scheduled)[:limit]]

    def scheduled_count(self) -> int:
        return len(self._scheduled)

    def take_due(self, now: int) -> list[bytes]:
        due = self._pop_due(now)
        for _, message in due:
            self._count(message, -1)
        return [message.data for _, message in due]

    def running_count(self) -> int:
        return len(self._claims)

    def dead(self, limit: int | None = None) -> list[DeadTask]:
        latest = sorted(((task.died, seq, task) for seq, (task, _) in self._dead.items()), reverse=True)
        return [task for _, _, task in latest[:limit]]

    def flush(self) -> None:
        self._clear()
        self._changes.add()


for _verb in Storage.__abstractmethods__:  # all of them, so that none can forget the lock
    setattr(MemoryStorage, _verb, _locked(getattr(MemoryStorage, _verb)))
