"""The verbs about locks, rate limits and counters."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections.abc import Callable, Sequence

from liteq import clock as clocks
from liteq.identity import Identity
from liteq.messages import ClaimKey
from liteq.storage.base import Holder, Instant
from liteq.storage.contract.limits import added
from liteq.storage.redis import packing
from liteq.storage.redis.calls import Calls, boot, left_until
from liteq.storage.redis.server import Arg, Refused, verb

_SKEW = clocks.MINUTE
"""By so much the clocks of two hosts may differ, and no hit counts as one before the clock was set back."""


class LockVerbs(Calls):
    """The locks, rate limits and counters of one queue on the server."""

    def acquire_lock(self, holder: Holder, *, limit: int, now: int) -> bool:
        return bool(self._call("acquire_lock", *_holder_args(holder, now), limit))

    def renew_lock(self, holder: Holder, *, now: int) -> bool:
        return bool(self._call("renew_lock", *_holder_args(holder, now)))

    def release_lock(self, holder: Holder, *, now: int) -> bool:
        return bool(self._call("release_lock", *_holder_args(holder, now)))

    def locks(self, name: str | None = None, *, now: int) -> list[Holder]:
        names = [] if name is None else [name]
        reply = self._call("locks", len(names), *names, now, boot())
        return sorted((_holder(row) for row in reply), key=lambda holder: (holder.name, holder.token))

    def clear_locks(self, names: Sequence[str] | None = None, *, now: int) -> set[str]:
        asked = names or ()
        reply = self._call("clear_locks", int(names is None), len(asked), *asked, now, boot())
        return {name.decode() for name in reply}

    # Rate limits

    def hit(self, name: str, *, limit: int, per: int, clock: Callable[[], Instant]) -> int:
        while True:
            stamp, kept = self._call("hit_look", name, limit)
            now = clock()
            wait = 0 if kept is None else per - _age(now, kept)
            if wait > 0:
                return min(wait, per)
            hit = f"{now.boot} {now.ticks} {now.wall} {now.ticks + per}"
            if self._add_hit(name, limit, stamp, hit):
                return 0

    def _add_hit(self, *args: Arg) -> bool:
        """Note a hit; False if it was not its turn: another was made since the look, or a batch is open."""
        try:
            return bool(self.batches.call(verb("hit_add", args), patient=False))
        except Refused:
            return False

    def hits(self, name: str, *, per: int, now: Instant) -> int:
        return sum(_age(now, kept) < per for kept in self._call("hits", name))

    def clear_hits(self, name: str) -> bool:
        return bool(self._call("clear_hits", name))

    def prune(self, limit: int, *, now: Instant, monotonic: int) -> int:
        verbs = (
            verb("prune_results", (limit, now.wall)),
            verb("prune_locks", (limit, monotonic, boot())),
            verb("prune_hits", (limit, now.boot, now.ticks, now.wall)),
        )
        return sum(self.server.run(b"run", b"", verbs))

    # Counters

    def incr(self, key: str, amount: int = 1) -> int:
        try:
            return int(self._call("incr", key, amount))
        except Refused as refusal:
            return added(int(refusal.words[1]), amount)  # which raises

    def counter(self, key: str) -> int:
        return int(self._call("counter", key) or 0)

    def delete_counter(self, key: str) -> bool:
        return bool(self._call("delete_counter", key))


def _age(now: Instant, kept: bytes) -> int:
    """How long ago a hit was made, by the clocks of the hosts, which may differ a little."""
    at, ticks, wall, _ = kept.decode().split(" ")
    if at != now.boot and 0 < int(wall) - now.wall < _SKEW:
        return 0
    return now.since(Instant(at, int(ticks), int(wall)))


def _holder_args(holder: Holder, now: int) -> list[Arg]:
    claim: tuple[Arg, ...] = ("", "", "") if holder.claim is None else packing.key_args(holder.claim)
    ends: tuple[Arg, ...] = (
        ("", "") if holder.expires is None else (holder.expires, left_until(holder.expires))
    )
    return [holder.name, holder.token, *holder.process, *claim, *ends, boot(), now]


def _holder(row: Sequence[bytes]) -> Holder:
    name, token, host, pid, started, seq, attempt, owner, expires, *_ = (column.decode() for column in row)
    claim = ClaimKey(int(seq), int(attempt), int(owner)) if seq else None
    process = Identity(host, int(pid), started)
    return Holder(name, token, process, claim, int(expires) if expires else None)
