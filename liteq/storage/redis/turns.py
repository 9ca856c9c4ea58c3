"""The turns of a consumer: what it does all the time, in one call of the program."""
# ruff: noqa: D102 -- the verbs are documented by the contract

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Sequence

from liteq import clock
from liteq.messages import ClaimKey, Settlement
from liteq.storage.base import ClaimOrder, Turn
from liteq.storage.redis import packing
from liteq.storage.redis.messages import MessageVerbs, order_args

logger = logging.getLogger("huey.consumer")

_UNTIL_RENEWED = 10 * clock.MINUTE
"""For which a consumer that was forgotten is entered again; it soon tells more exactly."""


class _Turns:
    """The numbers of a process's turns, which no other process goes on with, be it forked from this one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.handle = os.urandom(8).hex()
        self.numbers = itertools.count(1)
        self.heard = 0
        """The last one whose reply has arrived."""
        self.unsure: set[ClaimKey] = set()
        """Claims that were settled by turns whose replies have not arrived."""

    def of_this_process(self) -> _Turns:
        pid = os.getpid()
        return self if pid == self._pid else _Turns(pid)


class TurnVerbs(MessageVerbs):
    """Turns, and what the server knows of those before."""

    events_channel: bytes
    renew: Callable[[int, int], None]

    def __init__(self) -> None:
        self._turns = _Turns(os.getpid())

    def turn(
        self,
        owner: int,
        settlements: Sequence[Settlement],
        order: ClaimOrder | None,
        now: int,
        *,
        durable: bool = True,
    ) -> Turn:
        del durable
        turns = self._turns = self._turns.of_this_process()
        turn = next(turns.numbers)
        keys = [it.key for it in settlements]
        unsure = turns.unsure
        turns.unsure = unsure.union(keys)
        held, claims, due, last, listeners = self._store(
            "turn" if settlements else "take",
            self.events_channel,
            owner,
            turns.handle,
            turn,
            turns.heard,
            *(self._settlements(settlements, now) if settlements else ()),
            *([0] if order is None else [1, *order_args(owner, order, now, clock.monotonic() + order.lasts)]),
        )
        if int(last) < turns.heard:
            self._was_forgotten(owner)
        done = unsure if int(last) > turns.heard else ()
        turns.unsure = set()
        if not self.batches.is_open:
            turns.heard = turn
        return Turn(
            [one == 1 or key in done for one, key in zip(held, keys, strict=True)],
            packing.claims(claims),
            None if due is None else int(due),
            listeners > 0,
        )

    def _was_forgotten(self, owner: int) -> None:
        """The server does not know of a turn that it has confirmed."""
        logger.error(
            "%s has forgotten what it had confirmed: it was emptied, is another one by now, or has gone back"
            " to older data. Tasks that were acknowledged may be lost; those that it has are run",
            self.server.where,
        )
        self.renew(owner, _UNTIL_RENEWED)
