"""The verbs that move messages: put, claim, settle and their kin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from liteq.messages import Claim, ClaimKey, Disposition, Join, Message, Revocation, Settlement
from liteq.storage.base import Taken
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.chords import ChordVerbs, pack_links, unpack_links
from liteq.storage.sqlite.database import Transaction
from liteq.storage.sqlite.errors import translate
from liteq.storage.sqlite.numbers import delete_messages
from liteq.storage.sqlite.pauses import PauseVerbs, Ready
from liteq.storage.sqlite.records import RecordVerbs

# More than these become ready in the next batches: a million tasks due at once must not hold up the rest.
_PROMOTED_AT_ONCE = 5_000


class MessageVerbs(ChordVerbs, PauseVerbs, RecordVerbs):
    """Messages of one queue in the file."""

    expire_time: int | None

    def put(self, messages: Sequence[Message], now: int) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            self._insert(transaction, messages, now)

    def _insert(self, transaction: Transaction, messages: Sequence[Message], now: int) -> None:
        connection, queue = transaction.connection, self.name
        rows = [(queue, m.id, m.name, m.priority, m.at_most_once, pack_links(m), m.data) for m in messages]
        connection.executemany(sql.INSERT_MESSAGE, rows)
        # The numbers that SQLite gives within one transaction follow each other.
        last = connection.last_insert_rowid()
        first = last - len(rows) + 1
        transaction.new_work = True
        if all(map(_is_new_and_ready, messages)):
            connection.execute(sql.INSERT_ALL_READY, (first, last))
        else:
            self._distribute(transaction, first, messages, now)

    def _distribute(
        self, transaction: Transaction, first: int, messages: Sequence[Message], now: int
    ) -> None:
        """Put each message, the first of which has the seq `first`, into the table of its state."""
        queue = self.name
        ready, scheduled, waiting = [], [], []
        for seq, m in enumerate(messages, first):
            if m.gathers:
                waiting.append((seq, m))
            elif m.due is None or m.due <= now:
                ready.append((queue, -m.priority, seq, m.attempt, m.crashes))
            else:
                scheduled.append((queue, m.due, seq, m.attempt, m.crashes))
        transaction.connection.executemany(sql.INSERT_READY, ready)
        transaction.connection.executemany(sql.INSERT_SCHEDULED, scheduled)
        self._wait(transaction, waiting)

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
        """See the contract."""
        with self.database.write() as transaction:
            connection = transaction.connection
            self._promote(transaction, now)
            if limit <= 0:
                return []
            rows = (
                self._not_paused(transaction, limit, inline)
                if only is None
                else self._of_id(transaction, only, limit, inline)
            )
            rows = rows[: _first_that_must_wait(rows, startable)]
            if not rows:
                return []
            claims = self._claims_of(rows, owner, self._revoked(transaction, rows, now))
            connection.executemany(sql.DELETE_READY, [(self.name, rank, seq) for rank, seq, *_ in rows])
            connection.executemany(
                sql.INSERT_CLAIM,
                [(c.seq, self.name, owner, c.attempt, c.crashes, c.revoked, lease) for c in claims],
            )
        return claims

    def _claims_of(self, rows: Sequence[Ready], owner: int, revoked: set[int]) -> list[Claim]:
        try:
            return [
                Claim(
                    seq, attempt + 1, owner, id, name, data, -rank, crashes, bool(once), seq in revoked,
                    *unpack_links(links),
                )
                for rank, seq, attempt, crashes, id, name, data, once, links in rows
            ]  # fmt: skip
        except TypeError as error:  # NULL in a column that can't be NULL
            raise translate(error, self.database.path) from error

    def _of_id(self, transaction: Transaction, id: str, limit: int, inline: int | None) -> list[Ready]:
        self._unpark_ids(transaction, [id])
        return list(transaction.connection.execute(sql.READY_MESSAGES_OF_ID, (inline, self.name, id, limit)))

    def _promote(self, transaction: Transaction, now: int) -> None:
        connection = transaction.connection
        due = connection.execute(sql.NEXT_DUE, (self.name,)).get
        if due is not None and due <= now:
            parameters = (self.name, now, _PROMOTED_AT_ONCE)
            connection.execute(sql.PROMOTE_DUE, parameters)
            connection.execute(sql.DELETE_PROMOTED, parameters)

    def _revoked(self, transaction: Transaction, rows: Iterable[Ready], now: int) -> set[int]:
        """The seqs of those that must not run; a revocation of a name for once becomes that of one id."""
        connection, queue = transaction.connection, self.name
        if not connection.execute(sql.ANY_REVOCATION, (queue,)).get:
            return set()
        revoked = set()
        for row in rows:
            seq, id, name = row[1], row[4], row[5]
            if _holds(connection.execute(sql.GET_REVOCATION, (queue, f"r:{id}")).get, now):
                revoked.add(seq)
                continue
            of_name = connection.execute(sql.GET_REVOCATION, (queue, f"rt:{name}")).get
            if _holds(of_name, now):
                revoked.add(seq)
                if of_name[1]:
                    connection.execute(sql.DELETE_REVOCATION, (queue, f"rt:{name}"))
                    # Under the id, so that the decision outlives a worker that dies before it reports it.
                    connection.execute(sql.PUT_REVOCATION, (queue, f"r:{id}", None, True, False))
        return revoked

    def settle(self, settlements: Sequence[Settlement], now: int) -> list[bool]:
        """See the contract."""
        with self.database.write() as transaction:
            crashes = self._crashes_of_held(transaction, settlements)
            ends = [(settlement, crashes.pop(settlement.key, None)) for settlement in settlements]
            valid = [(settlement, before) for settlement, before in ends if before is not None]
            held = [settlement for settlement, _ in valid]
            ended = json.dumps([settlement.key.seq for settlement in held])
            transaction.connection.execute(sql.DELETE_CLAIMS, (ended,))
            self._record(transaction, held, now)
            self._end_messages(transaction, valid, now)
            self._store_effects(transaction, held, now)
        return [before is not None for _, before in ends]

    def _crashes_of_held(
        self, transaction: Transaction, settlements: Sequence[Settlement]
    ) -> dict[tuple[int, int, int], int]:
        """The claims of these settlements that hold, and how many crashes their messages have had."""
        asked = json.dumps([settlement.key.seq for settlement in settlements])
        rows = transaction.connection.execute(sql.CLAIMS_HELD, (asked, self.name))
        # Plain tuples: they are equal to claim keys, and cost less.
        return {(seq, attempt, owner): crashes for seq, attempt, owner, crashes in rows}

    def apply(self, settlement: Settlement, now: int) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            self._store_effects(transaction, [settlement], now)

    def _end_messages(
        self, transaction: Transaction, settlements: Iterable[tuple[Settlement, int]], now: int
    ) -> None:
        """Move or delete messages whose claims have ended, each with its number of crashes before."""
        connection, queue = transaction.connection, self.name
        done, back, dead = [], [], []
        for (key, outcome, attempted), before in settlements:
            disposition = outcome.disposition
            if disposition is Disposition.DONE:
                done.append(key.seq)
                continue
            crashes = before + (outcome.status == "crashed" or disposition is Disposition.CRASHED)
            if disposition is Disposition.DEAD:
                end = (attempted.exit_code, attempted.peak_memory) if attempted is not None else (None, None)
                dead.append((key.seq, queue, key.attempt, crashes, now, outcome.reason, *end))
            else:
                back.append((key.seq, key.attempt, crashes))
        if done:
            self._end_revocations(transaction, settlements)
            delete_messages(connection, done)
        connection.executemany(sql.RETURN_TO_READY, back)
        connection.executemany(sql.INSERT_DEAD, dead)
        if connection.execute(sql.ANY_LOCK_OF_A_CLAIM, (queue,)).get:
            connection.execute(sql.RELEASE_LOCKS_WITHOUT_CLAIM, (queue,))
        transaction.new_work = transaction.new_work or bool(back)
        transaction.ended_tasks = transaction.ended_tasks or bool(done or dead)

    def _end_revocations(
        self, transaction: Transaction, settlements: Iterable[tuple[Settlement, int]]
    ) -> None:
        connection, queue = transaction.connection, self.name
        if connection.execute(sql.ANY_REVOCATION, (queue,)).get:
            ended = [
                (queue, key.seq)
                for (key, outcome, _), _ in settlements
                if outcome.disposition is Disposition.DONE and outcome.status != "retrying"
            ]
            connection.executemany(sql.DELETE_REVOCATION_OF_MESSAGE, ended)

    def _store_effects(self, transaction: Transaction, settlements: Iterable[Settlement], now: int) -> None:
        results: list[tuple[str, str, bytes, int | None]] = []
        messages: list[Message] = []
        joins: list[Join] = []
        expires = None if self.expire_time is None else now + self.expire_time
        for _, outcome, _ in settlements:
            if outcome.results:
                results.extend([(self.name, key, value, expires) for key, value in outcome.results])
            if outcome.messages:
                messages.extend(outcome.messages)
            if outcome.joins:
                joins.extend(outcome.joins)
        if results:
            transaction.connection.executemany(sql.PUT_RESULT, results)
            transaction.ended_tasks = True
        if messages:
            self._insert(transaction, messages, now)
        if joins:
            self._note_ends(transaction, joins, now)

    def extend(self, owner: int, lease: int) -> int:
        """See the contract."""
        with self.database.write() as transaction:
            transaction.connection.execute(sql.EXTEND_CLAIMS, (lease, self.name, owner))
            return transaction.connection.changes()

    def held(self, owner: int, inline: int | None = None) -> list[Claim]:
        """See the contract."""
        with self.database.read() as connection:
            return [_claim(row) for row in connection.execute(sql.CLAIMS_OF, (inline, self.name, owner))]

    def data_of(self, key: ClaimKey) -> bytes | None:
        """See the contract."""
        with self.database.read() as connection:
            data: bytes | None = connection.execute(sql.CLAIMED_DATA, (*key, self.name)).get
            return data

    def top_priority(self) -> int | None:
        """See the contract."""
        with self.database.read() as connection:
            rank: int | None = connection.execute(sql.TOP_RANK, (self.name,)).get
            return None if rank is None else -rank

    def expired(self, now_monotonic: int) -> list[Claim]:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.CLAIMS_EXPIRED, (None, self.name, now_monotonic))
            return [_claim(row) for row in rows]

    def next_due(self) -> int | None:
        """See the contract."""
        with self.database.read() as connection:
            due: int | None = connection.execute(sql.NEXT_DUE, (self.name,)).get
            return due

    def is_claimed(self, id: str) -> bool:
        """See the contract."""
        with self.database.read() as connection:
            return bool(connection.execute(sql.IS_CLAIMED, (self.name, id)).get)

    def withdraw(self, ids: Sequence[str]) -> set[str]:
        """See the contract."""
        with self.database.write() as transaction:
            connection, queue = transaction.connection, self.name
            self._unpark_ids(transaction, ids)
            unclaimed = list(connection.execute(sql.UNCLAIMED, (queue, json.dumps(ids))))
            if not unclaimed:
                return set()
            seqs = [seq for seq, _, _ in unclaimed]
            connection.executemany(sql.DELETE_READY, [(queue, rank, seq) for seq, rank, _ in unclaimed])
            if connection.execute(sql.NEXT_DUE, (queue,)).get is not None:
                connection.execute(sql.DELETE_SCHEDULED, (queue, json.dumps(seqs)))
            delete_messages(connection, seqs)
            transaction.ended_tasks = True
        return {id for _, _, id in unclaimed}

    def revive(self, ids: Sequence[str]) -> int:
        """See the contract."""
        revived = 0
        with self.database.write() as transaction:
            for id in ids:
                transaction.connection.execute(sql.REVIVE, (self.name, id))
                revived += transaction.connection.changes()
                transaction.connection.execute(sql.DELETE_REVIVED, (self.name, id))
            transaction.new_work = True
        return revived

    def take_due(self, now: int) -> list[Taken]:
        """See the contract."""
        with self.database.write() as transaction:
            rows = list(transaction.connection.execute(sql.DUE_MESSAGES, (self.name, now)))
            taken = [
                Taken(data, None if unpack_links(links)[2] is None else self._members(transaction, seq))
                for seq, data, links in rows
            ]
            transaction.connection.execute(sql.DELETE_DUE, (self.name, now))
            delete_messages(transaction.connection, [seq for seq, _, _ in rows])
        return taken


def _first_that_must_wait(rows: Sequence[Ready], startable: int | None) -> int:
    """How many of the rows may be claimed: all before an at-most-once message that could not start now."""
    if startable is None:
        return len(rows)
    return next((i for i, row in enumerate(rows) if row[7] and i >= startable), len(rows))


def _holds(revocation: tuple[int | None, int, int] | None, now: int) -> bool:
    return revocation is not None and Revocation(revocation[0], bool(revocation[1])).holds(now)


def _is_new_and_ready(message: Message) -> bool:
    return message.due is None and not (message.attempt or message.crashes or message.gathers)


def _claim(row: tuple[int, int, int, str, str, bytes | None, int, int, int, int, str | None]) -> Claim:
    seq, attempt, owner, id, name, data, priority, crashes, once, revoked, links = row
    return Claim(
        seq,
        attempt,
        owner,
        id,
        name,
        data,
        priority,
        crashes,
        bool(once),
        bool(revoked),
        *unpack_links(links),
    )
