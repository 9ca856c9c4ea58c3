"""The verbs that move messages: put, claim, settle and their kin."""
# ruff: noqa: D102 -- the verbs are documented by the contract, and stand in its order

from __future__ import annotations

import heapq
from collections.abc import Sequence

from liteq.messages import Claim, ClaimKey, Disposition, Message, Settlement
from liteq.storage.base import DeadTask
from liteq.storage.memory.records import RecordVerbs
from liteq.storage.memory.results import ResultVerbs
from liteq.storage.memory.tables import Placed


class MessageVerbs(RecordVerbs, ResultVerbs):
    """Messages of one queue in memory."""

    def put(self, messages: Sequence[Message], now: int) -> None:
        self._add(self._placed(messages, now))

    def claim(
        self, owner: int, limit: int, *, now: int, lease: int, startable: int | None = None
    ) -> list[Claim]:
        for seq, message in self._pop_due(now):
            self._make_ready(seq, message)
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
        self._set_aside()
        return -self._ready[0][0] if self._ready and None not in self._pauses else None

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

    def _placed(self, messages: Sequence[Message], now: int) -> Placed:
        """Look at every message, so that a faulty one raises before anything is stored."""
        return [
            (self._ready, -m.priority, m) if m.due is None or m.due <= now else (self._scheduled, m.due, m)
            for m in messages
        ]

    def _add(self, placed: Placed) -> None:
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

    def _end(self, settlement: Settlement, placed: Placed, now: int) -> bool:
        (seq, *_), outcome, attempted = settlement
        if self.data_of(settlement.key) is None:
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
                id, name, data, *_, attempt, crashes = message
                end = (attempted.exit_code, attempted.peak_memory) if attempted is not None else (None, None)
                dead = DeadTask(id, name, data, attempt, crashes, now, outcome.reason, *end)
                self._dead[seq] = dead, message
            elif outcome.status != "retrying":
                self._revocations.pop(f"r:{message.id}", None)
        self._store(settlement, placed)
        return True

    def _store(self, settlement: Settlement, placed: Placed) -> None:
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

    def take_due(self, now: int) -> list[bytes]:
        due = self._pop_due(now)
        for _, message in due:
            self._count(message, -1)
        return [message.data for _, message in due]
