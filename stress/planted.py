"""Bugs that can be planted in the storage under stress, to show that the checker finds each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from liteq import clock
from liteq.identity import Identity, identify
from liteq.messages import Claim, Disposition, Message, Outcome, Settlement
from liteq.storage.base import Holder, Instant
from liteq.storage.sqlite import SqliteStorage
from liteq.storage.sqlite.line import Waiter

_NOW_AND_THEN = 50
_GAP = 0.003
"""Seconds between two transactions that ought to be one."""


class NoFence(SqliteStorage):
    """The outcome of an attempt that has lost its claim takes effect all the same."""

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract, which this breaks."""
        held = super().settle(settlements, now)
        for settlement, holds in zip(settlements, held, strict=True):
            if not holds:
                self.apply(settlement, now)
        return [True] * len(held)


class SplitTransaction(SqliteStorage):
    """The end of a claim and its effects are two transactions."""

    _apart: Sequence[Settlement] = ()

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract, which this breaks."""
        bare = [
            s._replace(outcome=s.outcome._replace(results=(), messages=(), joins=())) for s in settlements
        ]
        held = super().settle(bare, now)
        self._apart = [s for s, holds in zip(settlements, held, strict=True) if holds]
        return held

    @contextmanager
    def batch(self, *, durable: bool = True) -> Iterator[None]:
        """See the contract, which this breaks."""
        with super().batch(durable=durable):
            yield
        apart, self._apart = self._apart, ()
        if apart:
            time.sleep(_GAP)
        for settlement in apart:
            self.apply(settlement, 0)


class NoRecovery(SqliteStorage):
    """What a dead consumer held is not found."""

    def held(self, owner: int, inline: int | None = None) -> list[Claim]:
        """See the contract, which this breaks."""
        del owner, inline
        return []


class PidOnly(SqliteStorage):
    """A consumer is known by its pid alone."""

    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        """See the contract, which this breaks."""
        return {
            owner: (_as_it_is(it), None if dispatcher is None else _as_it_is(dispatcher))
            for owner, (it, dispatcher) in super().consumers().items()
        }


def _as_it_is(identity: Identity) -> Identity:
    try:
        return identify(identity.pid)
    except ProcessLookupError:
        return identity


def _by_the_wall(monotonic: int) -> int:
    return monotonic - clock.monotonic() + clock.now()


class TakenEarly(SqliteStorage):
    """What others hold is taken over before their lease ends."""

    def expired(self, now_monotonic: int) -> list[Claim]:
        """See the contract, which this breaks."""
        return super().expired(now_monotonic + 3_600_000_000)


class WallLeases(SqliteStorage):
    """The leases of claims end by the wall clock."""

    def claim(self, *arguments: Any, lease: int, **options: Any) -> list[Claim]:
        """See the contract, which this breaks."""
        return super().claim(*arguments, lease=_by_the_wall(lease), **options)

    def extend(self, owner: int, lease: int) -> int:
        """See the contract, which this breaks."""
        return super().extend(owner, _by_the_wall(lease))

    def expired(self, now_monotonic: int) -> list[Claim]:
        """See the contract, which this breaks."""
        return super().expired(_by_the_wall(now_monotonic))


class Shy(SqliteStorage):
    """Only one consumer claims anything."""

    def claim(self, owner: int, limit: int, **options: Any) -> list[Claim]:
        """See the contract, which this breaks."""
        return super().claim(owner, limit if owner == min(self.consumers()) else 0, **options)


class ForgottenCrash(SqliteStorage):
    """The death of a worker is not settled."""

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract, which this breaks."""
        super().settle([s for s in settlements if s.outcome.status != "crashed"], now)
        return [True] * len(settlements)


class AtLeastOnce(SqliteStorage):
    """What must not repeat is claimed as if it might."""

    def claim(self, *arguments: Any, **options: Any) -> list[Claim]:
        """See the contract, which this breaks."""
        return [claim._replace(at_most_once=False) for claim in super().claim(*arguments, **options)]


class ClaimedTwice(SqliteStorage):
    """A claim is handed out again now and then, in the place of another, to another worker perhaps."""

    _claims = 0
    _before: Sequence[Claim] = ()

    def claim(self, owner: int, limit: int, **options: Any) -> list[Claim]:
        """See the contract, which this breaks."""
        self._claims += 1
        again = [] if self._claims % _NOW_AND_THEN else self._before[:1]
        claims = super().claim(owner, limit - len(again), **options)
        self._before = claims or self._before
        return [*claims, *again]


class Resurrected(SqliteStorage):
    """A task that has ended goes back to the queue now and then."""

    _settles = 0

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract, which this breaks."""
        return super().settle([self._spoilt(settlement) for settlement in settlements], now)

    def _spoilt(self, settlement: Settlement) -> Settlement:
        self._settles += 1
        if self._settles % _NOW_AND_THEN or settlement.outcome.disposition != Disposition.DONE:
            return settlement
        return settlement._replace(outcome=Outcome(Disposition.BACK, "complete", settlement.outcome.results))


class LostCall(SqliteStorage):
    """A call returns now and then although its task was not stored."""

    _puts = 0

    def put(self, messages: Sequence[Message], now: int) -> None:
        """See the contract, which this breaks."""
        self._puts += 1
        if self._puts % _NOW_AND_THEN:
            super().put(messages, now)


class TornBulk(SqliteStorage):
    """A bulk is several transactions."""

    def put(self, messages: Sequence[Message], now: int) -> None:
        """See the contract, which this breaks."""
        for start in range(0, len(messages), 10):
            super().put(messages[start : start + 10], now)


class Disorder(SqliteStorage):
    """Now and then what is claimed together is handed out in the wrong order."""

    _batches = 0

    def claim(self, *arguments: Any, **options: Any) -> list[Claim]:
        """See the contract, which this breaks."""
        claims = super().claim(*arguments, **options)
        self._batches += len(claims) > 1
        return claims if self._batches % 5 else claims[::-1]


class BackingOff(SqliteStorage):
    """Who has waited longest for the write lock asks for it most seldom, as SQLite has it by itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)

        def wait(_waiter: Waiter, count: int) -> bool:
            time.sleep(min(0.1, 0.001 * 2**count))
            return True

        Waiter.__call__ = wait  # type: ignore[method-assign,assignment]


class SharedLock(SqliteStorage):
    """A lock has room for one more."""

    def acquire_lock(self, holder: Holder, *, limit: int, now: int) -> bool:
        """See the contract, which this breaks."""
        return super().acquire_lock(holder, limit=limit + 1, now=now)


class LaxLimit(SqliteStorage):
    """A rate limit lets one more pass."""

    def hit(self, name: str, *, limit: int, per: int, clock: Callable[[], Instant]) -> int:
        """See the contract, which this breaks."""
        return super().hit(name, limit=limit + 1, per=per, clock=clock)


class SlotTwice(SqliteStorage):
    """A slot fires although it has fired."""

    def take_slot(self, name: str, slot: int) -> bool:
        """See the contract, which this breaks."""
        super().take_slot(name, slot)
        return True

    def know_slot(self, name: str, slot: int) -> int:
        """See the contract, which this breaks."""
        return super().know_slot(name, slot) - 1_000_000


class EarlyCallback(SqliteStorage):
    """A chord calls back before its last member has ended."""

    def put(self, messages: Sequence[Message], now: int) -> None:
        """See the contract, which this breaks."""
        super().put([m._replace(gathers=m.gathers - 1) if m.gathers else m for m in messages], now)


BUGS: Final[dict[str, type[SqliteStorage]]] = {
    "no-fence": NoFence,
    "split-transaction": SplitTransaction,
    "no-recovery": NoRecovery,
    "pid-only": PidOnly,
    "taken-early": TakenEarly,
    "wall-leases": WallLeases,
    "shy": Shy,
    "forgotten-crash": ForgottenCrash,
    "at-least-once": AtLeastOnce,
    "claimed-twice": ClaimedTwice,
    "resurrected": Resurrected,
    "lost-call": LostCall,
    "torn-bulk": TornBulk,
    "disorder": Disorder,
    "backing-off": BackingOff,
    "shared-lock": SharedLock,
    "lax-limit": LaxLimit,
    "slot-twice": SlotTwice,
    "early-callback": EarlyCallback,
}
