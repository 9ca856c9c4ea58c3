"""The verbs that move messages: put, claim, settle and their kin."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import heapq
from collections.abc import Sequence

from liteq.messages import Claim, ClaimKey, Disposition, Message, Settlement
from liteq.storage.base import DeadTask, Taken
from liteq.storage.memory.chords import ChordVerbs
from liteq.storage.memory.locks import LockVerbs
from liteq.storage.memory.records import RecordVerbs
from liteq.storage.memory.tables import Placed


class MessageVerbs(ChordVerbs, LockVerbs, RecordVerbs):
    """Messages of one queue in memory."""

    def put(self, messages: Sequence[Message], now: int) -> None:
        self._add(self._placed(messages, now))

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
        del inline
        for seq, message in self._pop_due(now):
            self._make_ready(seq, message)
        if only is not None:
            return self._claim_id(only, owner, limit, now, lease)
        claims: list[Claim] = []
        while len(claims) < limit and None not in self._pauses:
            self._set_aside()
            if not self._ready:
                break
            _, seq, message = self._ready[0]
            if message.at_most_once and startable is not None and len(claims) >= startable:
                break
            heapq.heappop(self._ready)
            claims.append(self._hold(seq, message, owner, now, lease))
        return claims

    def _claim_id(self, id: str, owner: int, limit: int, now: int, lease: int) -> list[Claim]:
        self._unpark({id})
        claims = []
        for place in sorted(place for place in self._ready if place[2].id == id)[:limit]:
            self._ready.remove(place)
            claims.append(self._hold(*place[1:], owner, now, lease))
        heapq.heapify(self._ready)
        return claims

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        placed = [self._placed(settlement.outcome.messages, now) for settlement in settlements]
        held = [self._end(*pair, now) for pair in zip(settlements, placed, strict=True)]
        self._release_without_claim()
        return held

    def apply(self, settlement: Settlement, now: int) -> None:
        self._store(settlement, self._placed(settlement.outcome.messages, now), now)

    def extend(self, owner: int, lease: int) -> int:
        own = self.held(owner)
        for claim in own:
            self._leases[claim.seq] = lease
            self._changes.add()
        return len(own)

    def held(self, owner: int, inline: int | None = None) -> list[Claim]:
        del inline
        own = [claim for claim, _ in self._claims.values() if claim.owner == owner]
        return sorted(own, key=lambda claim: (-claim.priority, claim.seq))

    def data_of(self, key: ClaimKey) -> bytes | None:
        return self._claims[key.seq][0].data if self._holds(key) else None

    def top_priority(self) -> int | None:
        self._set_aside()
        return -self._ready[0][0] if self._ready and None not in self._pauses else None

    def expired(self, now_monotonic: int) -> list[Claim]:
        return [claim for seq, (claim, _) in self._claims.items() if self._leases[seq] <= now_monotonic]

    def next_due(self) -> int | None:
        return self._scheduled[0][0] if self._scheduled else None

    def is_claimed(self, id: str) -> bool:
        return any(claim.id == id for claim, _ in self._claims.values())

    def withdraw(self, ids: Sequence[str]) -> set[str]:
        wanted = frozenset(ids)
        self._unpark(wanted)
        withdrawn = set()
        for line in (self._ready, self._scheduled):
            found = {seq: m for _, seq, m in line if m.id in wanted and not _is_linked(m)}
            line[:] = [entry for entry in line if entry[1] not in found]
            heapq.heapify(line)
            for message in found.values():
                self._count(message, -1)
                withdrawn.add(message.id)
        return withdrawn

    def revive(self, ids: Sequence[str]) -> int:
        wanted = frozenset(ids)
        seqs = [seq for seq, (dead, _) in self._dead.items() if dead.id in wanted]
        for seq in seqs:
            _, message = self._dead.pop(seq)
            self._count(message, 1)
            self._make_ready(seq, message._replace(crashes=0))
        return len(seqs)

    def _placed(self, messages: Sequence[Message], now: int) -> Placed:
        """Look at every message, so that a faulty one raises before anything is stored."""
        self._check_callbacks(messages)
        return [(*self._line_of(m, now), m) for m in messages]

    def _add(self, placed: Placed) -> None:
        for line, rank, message in placed:
            self._last_seq += 1
            if message.gathers is not None:
                self._ends[self._last_seq] = {}
            if message.gathers:
                self._waiting[message.id] = self._last_seq, message
            else:
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
        claim = claim_of(seq, owner, message, revoked=self._use_revocation(message, now))
        self._claims[seq], self._leases[seq] = (claim, message), lease
        self._changes.add()
        return claim

    def _end(self, settlement: Settlement, placed: Placed, now: int) -> bool:
        (seq, *_), outcome, attempted = settlement
        if not self._holds(settlement.key):
            return False
        _, message = self._claims.pop(seq)
        del self._leases[seq]
        self._record(settlement, message, now)
        crashed = outcome.disposition == Disposition.CRASHED or outcome.status == "crashed"
        message = message._replace(crashes=message.crashes + crashed)
        if outcome.disposition in {Disposition.BACK, Disposition.CRASHED}:
            self._make_ready(seq, message)
        else:
            self._count(message, -1)
            if outcome.disposition == Disposition.DEAD:
                m = message
                end = (attempted.exit_code, attempted.peak_memory) if attempted is not None else (None, None)
                dead = DeadTask(m.id, m.name, m.data, m.attempt, m.crashes, now, outcome.reason, *end)
                self._dead[seq] = dead, message
            else:
                self._ends.pop(seq, None)
                if outcome.status != "retrying":
                    self._revocations.pop(f"r:{message.id}", None)
        self._store(settlement, placed, now)
        return True

    def _store(self, settlement: Settlement, placed: Placed, now: int) -> None:
        expires = None if self.expire_time is None else now + self.expire_time
        for key, value in settlement.outcome.results:
            self.put_result(key, value, expires=expires)
        self._add(placed)
        for join in settlement.outcome.joins:
            self._note_end(join, now)

    def _count(self, message: Message, by: int) -> None:
        """Keep count of how many messages, dead ones aside, are or carry each id."""
        for id in (message.id, *message.chain):
            self._live[id] += by
            if not self._live[id]:
                del self._live[id]
        self._changes.add()

    def take_due(self, now: int) -> list[Taken]:
        taken = []
        for seq, message in self._pop_due(now):
            self._count(message, -1)
            ends = self._ends.pop(seq, None)
            taken.append(Taken(message.data, None if ends is None else self._in_order(ends)))
        return taken


def claim_of(seq: int, owner: int, message: Message, *, revoked: bool) -> Claim:
    """The claim of a message, whose attempt is the one that is claimed."""
    id, name, data, priority, _, at_most_once, chain, attempt, crashes, joins, gathers = message
    return Claim(
        seq,
        attempt,
        owner,
        id,
        name,
        data,
        priority,
        crashes,
        at_most_once,
        revoked,
        chain,
        joins,
        gathers,
    )


def _is_linked(message: Message) -> bool:
    """Whether others depend on it."""
    return bool(message.chain) or message.joins is not None or message.gathers is not None
