"""The verbs about locks, rate limits and counters."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from liteq.storage.base import Holder, Instant
from liteq.storage.contract.limits import added
from liteq.storage.memory.tables import Hit, Tables


class LockVerbs(Tables):
    """The locks, rate limits and counters of one queue in memory."""

    def acquire_lock(self, holder: Holder, *, limit: int, now: int) -> bool:
        held = {other.token: other for other in self.locks(holder.name, now=now)}
        mine = held.pop(holder.token, holder)
        if len(held) >= limit or not self._is_valid(holder) or not _is_of_one(mine, holder):
            return False
        self._locks[holder.name, holder.token] = holder
        self._changes.add()
        return True

    def renew_lock(self, holder: Holder, *, now: int) -> bool:
        held = self._held(holder, now)
        if held is None:
            return False
        self._locks[holder.name, holder.token] = held._replace(expires=holder.expires)
        self._changes.add()
        return True

    def release_lock(self, holder: Holder, *, now: int) -> bool:
        return self._held(holder, now) is not None and self._remove(self._locks, (holder.name, holder.token))

    def locks(self, name: str | None = None, *, now: int) -> list[Holder]:
        held = [self._locks[key] for key in sorted(self._locks) if name in {None, key[0]}]
        return [holder for holder in held if not holder.has_expired(now)]

    def clear_locks(self, names: Sequence[str] | None = None, *, now: int) -> set[str]:
        held = {holder.name for holder in self.locks(now=now)}
        cleared = held if names is None else held.intersection(names)
        for key in [key for key in self._locks if key[0] in cleared]:
            self._remove(self._locks, key)
        return cleared

    def _held(self, holder: Holder, now: int) -> Holder | None:
        held = self._locks.get((holder.name, holder.token))
        if held is None or held.process != holder.process or held.has_expired(now):
            return None
        return held

    def _is_valid(self, holder: Holder) -> bool:
        """Whether the attempt that it belongs to, if any, still has its claim."""
        return holder.claim is None or self._holds(holder.claim)

    def _release_without_claim(self) -> None:
        for key, holder in list(self._locks.items()):
            if not self._is_valid(holder):
                self._remove(self._locks, key)

    def hit(self, name: str, *, limit: int, per: int, clock: Callable[[], Instant]) -> int:
        hits, now = self._hits.setdefault(name, deque()), clock()
        wait = per - now.since(hits[-limit].at) if len(hits) >= limit else 0
        if wait > 0:
            return wait
        hits.append(Hit(now, per))
        while len(hits) > limit:
            hits.popleft()
        self._changes.add()
        return 0

    def hits(self, name: str, *, per: int, now: Instant) -> int:
        return sum(now.since(hit.at) < per for hit in self._hits.get(name, ()))

    def _prune_hits(self, limit: int, now: Instant) -> int:
        over = [
            (name, hit) for name, hits in self._hits.items() for hit in hits if now.since(hit.at) >= hit.per
        ]
        for name, hit in over[:limit]:
            self._hits[name].remove(hit)
            if not self._hits[name]:
                self._remove(self._hits, name)
        return len(over[:limit])

    def clear_hits(self, name: str) -> bool:
        return self._remove(self._hits, name)

    def incr(self, key: str, amount: int = 1) -> int:
        self._counters[key] = added(self.counter(key), amount)
        self._changes.add()
        return self._counters[key]

    def counter(self, key: str) -> int:
        return self._counters.get(key, 0)

    def delete_counter(self, key: str) -> bool:
        return self._remove(self._counters, key)


def _is_of_one(holder: Holder, other: Holder) -> bool:
    return (holder.process, holder.claim) == (other.process, other.claim)
