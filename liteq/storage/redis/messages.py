"""The verbs that move messages: put, claim, settle and their kin."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from liteq.exceptions import ConfigurationError, StorageBusy
from liteq.messages import Claim, ClaimKey, MemberEnd, Message, Settlement
from liteq.meter import Meter
from liteq.storage.base import ClaimOrder, Taken
from liteq.storage.contract.records import NOT_ATTEMPTS, Retention
from liteq.storage.redis import packing
from liteq.storage.redis.calls import Calls, boot, left_until
from liteq.storage.redis.server import Arg, Refused

_NO_CLAIM = ClaimKey(0, 0, 0)


class MessageVerbs(Calls):
    """Messages of one queue on the server."""

    expire_time: int | None
    retention: Retention
    priorities: bool
    meter: Meter
    """Of the successes that are entered in the history."""

    def put(self, messages: Sequence[Message], now: int) -> None:
        self._check_priorities(messages)
        if not messages:
            return
        plain = not any(m.gathers or (m.due is not None and m.due > now) for m in messages)
        if plain and not self.batches.is_open:
            self.server.push([packing.parcel(m) for m in messages])
        else:
            callbacks = any(m.gathers for m in messages)
            self._store("put", now, *packing.messages(messages), wanted=callbacks)

    def _store(self, name: str, *args: Arg, wanted: bool = True) -> Any:
        """Run a verb that puts messages."""
        try:
            return self._call(name, *args, wanted=wanted)
        except Refused as refusal:
            if refusal.words[0] == "WAITS":
                id = " ".join(refusal.words[1:])
                raise ValueError(f"a chord's callback with the id {id} is waiting already") from None
            raise StorageBusy("the connection was interrupted; the call is to be made again") from None

    def _check_priorities(self, messages: Sequence[Message]) -> None:
        if self.priorities:
            return
        for message in messages:
            if message.priority:
                raise ConfigurationError(
                    f"task {message.name!r} has priority {message.priority}, and this queue has none:"
                    " use PriorityRedisHuey or PriorityRedisExpireHuey"
                )

    def claim(
        self,
        owner: int,
        limit: int,
        *,
        now: int,
        lease: int,
        startable: int | None = None,
        only: str | None = None,
        inline: int | None = None,
    ) -> list[Claim]:
        order = ClaimOrder(limit, left_until(lease), startable, inline)
        return packing.claims(self._call("claim", *order_args(owner, order, now, lease, only or "")))

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        if not settlements:
            return []
        return [one == 1 for one in self._store("settle", *self._settlements(settlements, now))]

    def apply(self, settlement: Settlement, now: int) -> None:
        never_claimed = settlement._replace(key=_NO_CLAIM)
        self._store("apply", *self._settlements([never_claimed], now, attempts=False))

    def _settlements(
        self, settlements: Sequence[Settlement], now: int, *, attempts: bool = True
    ) -> Iterator[Arg]:
        """The arguments of settlements, the first of which are common to all."""
        for it in settlements:
            self._check_priorities(it.outcome.messages)
        yield now
        yield "" if self.expire_time is None else now + self.expire_time
        yield len(settlements)
        keeps = attempts and self.retention.entries > 0
        well = sum(it.outcome.status == "complete" for it in settlements) if keeps else 0
        enters_well = bool(well) and self.meter.allows(well)
        for it in settlements:
            status = it.outcome.status
            entered = keeps and (enters_well if status == "complete" else status not in NOT_ATTEMPTS)
            yield from packing.settlement(it, now, entered=entered)

    def extend(self, owner: int, lease: int) -> int:
        return int(self._call("extend", owner, lease, left_until(lease), boot()))

    def held(self, owner: int, inline: int | None = None) -> list[Claim]:
        return _in_order(self._call("held", owner, packing.optional(inline)))

    def data_of(self, key: ClaimKey) -> bytes | None:
        data: bytes | None = self._call("data_of", *packing.key_args(key))
        return data

    def top_priority(self) -> int | None:
        top = self._call("top_priority")
        return None if top is None else int(top)

    def expired(self, now_monotonic: int) -> list[Claim]:
        return _in_order(self._call("expired", now_monotonic, boot()))

    def next_due(self) -> int | None:
        due = self._call("next_due")
        return None if due is None else int(due)

    def is_claimed(self, id: str) -> bool:
        return bool(self._call("is_claimed", id))

    def withdraw(self, ids: Sequence[str]) -> set[str]:
        return {id.decode() for id in self._call("withdraw", len(ids), *ids)}

    def revive(self, ids: Sequence[str]) -> int:
        return int(self._call("revive", len(ids), *ids))

    def take_due(self, now: int) -> list[Taken]:
        return [
            Taken(data, packing.member_ends(ends) if is_callback else None)
            for data, is_callback, ends in self._call("take_due", now)
        ]

    # Chords

    def ends_of(self, key: ClaimKey) -> list[MemberEnd] | None:
        reply = self._call("ends_of", *packing.key_args(key))
        return None if reply is None else packing.member_ends(reply)

    def waiting_count(self) -> int:
        return int(self._call("waiting_count"))

    # Pauses

    def pause(self, name: str | None) -> bool:
        return bool(self._call("pause", name or ""))

    def resume(self, name: str | None) -> bool:
        return bool(self._call("resume", name or ""))

    def paused(self) -> frozenset[str | None]:
        return frozenset(name.decode() or None for name in self._call("paused"))


def order_args(owner: int, order: ClaimOrder, now: int, lease: int, only: str = "") -> list[Arg]:
    """The arguments of a claim."""
    startable, inline = packing.optional(order.startable), packing.optional(order.inline)
    return [owner, order.limit, now, lease, order.lasts, boot(), startable, inline, only]


def _in_order(reply: Sequence[Any]) -> list[Claim]:
    """Claims as they would have been run."""
    return sorted(packing.claims(reply), key=lambda claim: (-claim.priority, claim.seq))
