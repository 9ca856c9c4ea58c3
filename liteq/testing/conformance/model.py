"""The storage contract in the plainest form: lists that are searched and sorted at each call."""

from __future__ import annotations

from dataclasses import dataclass, field

from liteq.messages import Claim, ClaimKey, Disposition, Join, MemberEnd, Message, Revocation, Settlement
from liteq.storage.base import Holder

READY, SCHEDULED, WAITING, CLAIMED, DEAD = "ready", "scheduled", "waiting", "claimed", "dead"


@dataclass
class Row:
    message: Message
    place: int
    """In the order of arrival."""
    state: str
    attempt: int
    crashes: int
    owner: int = 0
    lease: int = 0
    revoked: bool = False
    ends: dict[int, MemberEnd] = field(default_factory=dict)

    def all_ends(self) -> list[MemberEnd]:
        return [end for _, end in sorted(self.ends.items())]


class Model:
    """One queue. Claims are told apart by id and attempt: the numbers of messages are the backend's own."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.results: dict[str, bytes] = {}
        self.revocations: dict[str, Revocation] = {}
        self.locks: list[Holder] = []
        self.paused: set[str | None] = set()
        self.history: list[tuple[str, int, str]] = []
        """Id, attempt and status of the attempts that have ended."""
        self._arrivals = 0

    def of(self, *states: str) -> list[Row]:
        return [row for row in self.rows if row.state in states]

    def ready(self) -> list[Row]:
        return sorted(self.of(READY), key=lambda row: (-row.message.priority, row.place))

    def claimable(self) -> list[Row]:
        return [row for row in self.ready() if self.paused.isdisjoint({None, row.message.name})]

    def scheduled(self) -> list[Row]:
        return sorted(self.of(SCHEDULED), key=lambda row: (row.message.due, row.place))

    def put(self, messages: list[Message], now: int) -> None:
        for message in messages:
            self._arrivals += 1
            state = WAITING if message.gathers else _state(message, now)
            self.rows.append(Row(message, self._arrivals, state, message.attempt, message.crashes))

    def claim(
        self, owner: int, limit: int, now: int, lease: int, startable: int | None, only: str | None = None
    ) -> list[Row]:
        for row in self.of(SCHEDULED):
            if row.message.due <= now:
                row.state = READY
        claimed: list[Row] = []
        allowed = (
            self.claimable() if only is None else [row for row in self.ready() if row.message.id == only]
        )
        for row in allowed[:limit]:
            if row.message.at_most_once and startable is not None and len(claimed) >= startable:
                break
            row.state, row.owner, row.lease, row.attempt = CLAIMED, owner, lease, row.attempt + 1
            row.revoked = self._is_revoked(row.message, now)
            claimed.append(row)
        return claimed

    def _is_revoked(self, message: Message, now: int) -> bool:
        own, of_name = f"r:{message.id}", f"rt:{message.name}"
        if own in self.revocations and self.revocations[own].holds(now):
            return True
        if of_name not in self.revocations or not self.revocations[of_name].holds(now):
            return False
        if self.revocations[of_name].once:
            del self.revocations[of_name]
            self.revocations[own] = Revocation(None, True)
        return True

    def settle(self, row: Row, settlement: Settlement, now: int) -> None:
        outcome = settlement.outcome
        self.history.append((row.message.id, row.attempt, outcome.status))
        if outcome.disposition is Disposition.CRASHED or outcome.status == "crashed":
            row.crashes += 1
        if outcome.disposition in {Disposition.BACK, Disposition.CRASHED}:
            row.state = READY
        elif outcome.disposition is Disposition.DEAD:
            row.state = DEAD
        else:
            self.rows.remove(row)
            if outcome.status != "retrying":
                self.revocations.pop(f"r:{row.message.id}", None)
        self.results.update(outcome.results)
        self.put(list(outcome.messages), now)
        for join in outcome.joins:
            self._note_end(join, now)

    def _note_end(self, join: Join, now: int) -> None:
        for row in self.of(WAITING):
            if row.message.id == join.chord:
                row.ends.setdefault(join.position, MemberEnd(join.kind, join.value, now))
                if len(row.ends) == row.message.gathers:
                    row.state = _state(row.message, now)

    def holder(self, claim: Claim, key: ClaimKey) -> Row | None:
        """The row that a claim holds, if it still does."""
        for row in self.of(CLAIMED):
            if (row.message.id, row.attempt, row.owner) == (claim.id, key.attempt, key.owner):
                return row
        return None

    def revive(self, ids: list[str]) -> int:
        rows = [row for row in self.of(DEAD) if row.message.id in ids]
        for row in rows:
            row.state, row.crashes = READY, 0
        return len(rows)

    def delete_dead(self, ids: list[str]) -> int:
        rows = [row for row in self.of(DEAD) if row.message.id in ids]
        for row in rows:
            self.rows.remove(row)
            self.revocations.pop(f"r:{row.message.id}", None)
        return len(rows)

    def state(self, id: str) -> str:
        """Of the last message of an id; empty if there is none."""
        return next((row.state for row in reversed(self.rows) if row.message.id == id), "")

    def is_live(self, id: str) -> bool:
        return any(id in (row.message.id, *row.message.chain) for row in self.rows if row.state != DEAD)

    def held(self, now: int) -> list[Holder]:
        """The locks, by name and token."""
        return sorted(lock for lock in self.locks if lock.expires is None or lock.expires > now)

    def acquire(self, holder: Holder, limit: int, now: int) -> bool:
        """For a process, or an attempt whose claim holds."""
        of_name = [lock for lock in self.held(now) if lock.name == holder.name]
        same = [lock for lock in of_name if lock.token == holder.token]
        if len(of_name) - len(same) >= limit:
            return False
        if any((lock.process, lock.claim) != (holder.process, holder.claim) for lock in same):
            return False
        self.locks = [lock for lock in self.held(now) if lock not in same] + [holder]
        return True

    def release(self, holder: Holder, now: int) -> bool:
        mine = [lock for lock in self.held(now) if lock[:3] == holder[:3]]
        self.locks = [lock for lock in self.held(now) if lock not in mine]
        return bool(mine)


def _state(message: Message, now: int) -> str:
    return SCHEDULED if message.due is not None and message.due > now else READY
