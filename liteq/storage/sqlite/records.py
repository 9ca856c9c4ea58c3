"""The verbs about what became of tasks: their state, the history of their attempts, their progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from liteq import clock
from liteq.messages import Attempted, ClaimKey, Settlement
from liteq.meter import Meter
from liteq.storage.contract.records import (
    NOT_ATTEMPTS,
    Counts,
    Entry,
    Progress,
    Retention,
    Running,
    Standing,
    Start,
)
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database, Transaction

_WAITING = ("ready", "scheduled")
_NOTHING_KNOWN = Attempted()

_WITHOUT_REASON = NOT_ATTEMPTS | {"complete"}


class RecordVerbs:
    """Records of one queue in the file."""

    name: str
    database: Database
    retention: Retention
    meter: Meter
    """Of the successes that are entered in the history."""

    def standing(self, id: str) -> Standing:
        """See the contract."""
        key = (self.name, id)
        with self.database.snapshot() as connection:
            state = connection.execute(sql.STATE, key).get or ""
            if state in _WAITING:
                entry, last = connection.execute(sql.LAST_FAILURE, key).get or (0, "")
                # Those that went well are in no index, so they are looked for last.
                if last and connection.execute(sql.SUCCESS_SINCE, (*key, entry)).get:
                    last = "complete"
                return Standing(state, last)
            if state:
                return Standing(state)
            if connection.execute(sql.IS_CHAINED, key).get:
                return Standing("chained")
            last = connection.execute(sql.LAST_ATTEMPT, key).get or ""
            result = (*key, clock.now())
            return Standing("", last, None if last else connection.execute(sql.PEEK_RESULT, result).get)

    def counts(self) -> Counts:
        """See the contract."""
        statements = (
            sql.COUNT_PENDING,
            sql.COUNT_SCHEDULED,
            sql.COUNT_RUNNING,
            sql.COUNT_DEAD,
            sql.COUNT_WAITING,
        )
        with self.database.snapshot() as connection:
            return Counts(*(connection.execute(statement, (self.name,)).get for statement in statements))

    def history(
        self, limit: int | None = None, *, id: str | None = None, name: str | None = None
    ) -> list[Entry]:
        """See the contract."""
        parameters = (self.name, limit_of(limit), id, name)
        with self.database.read() as connection:
            return [Entry(*row) for row in connection.execute(sql.HISTORY, parameters)]

    def _record(self, transaction: Transaction, settlements: Sequence[Settlement], now: int) -> None:
        """Enter attempts that end in the history, and forget their progress; their messages are there yet."""
        connection = transaction.connection
        if connection.execute(sql.ANY_PROGRESS).get:
            connection.executemany(sql.DELETE_PROGRESS, [(key.seq,) for key, *_ in settlements])
        if self.retention.entries:
            well = [it for it in settlements if it.outcome.status == "complete"]
            others = [it for it in settlements if it.outcome.status not in _WITHOUT_REASON]
            if well and not self.meter.allows(len(well)):
                well = []  # whole batches: a single entry costs nearly as much as many
            if well or others:
                entry = self._next_entry(transaction)
                connection.executemany(sql.INSERT_SUCCESS, _entries(well, entry, now))
                connection.executemany(sql.INSERT_ENTRY, _entries(others, entry + len(well), now))

    def _next_entry(self, transaction: Transaction) -> int:
        connection = transaction.connection
        entry: int | None = connection.execute(sql.NEXT_ENTRY, (self.name,)).get
        if entry is None:
            connection.execute(sql.INSERT_HISTORY_QUEUE, (self.name,))
            entry = connection.execute(sql.NEXT_ENTRY, (self.name,)).get
        return int(entry or 0)

    def prune_history(self, now: int, limit: int) -> int:
        """See the contract."""
        with self.database.read() as connection:
            if self._last_to_prune(connection, now, limit) is None:
                return 0
        with self.database.write(durable=False) as transaction:
            bounds = self._last_to_prune(transaction.connection, now, limit)
            if bounds is None:
                return 0
            transaction.connection.execute(sql.DELETE_ENTRIES, bounds)
            return transaction.connection.changes()

    def _last_to_prune(self, connection: apsw.Connection, now: int, limit: int) -> tuple[int, int] | None:
        """The first entry, and the last one that is to go with it; None if all may stay."""
        bounds = connection.execute(sql.FIRST_AND_LAST_ENTRY, (self.name,)).get
        if bounds is None or bounds[0] is None:
            return None
        first, last = map(int, bounds)
        too_many = last - self.retention.entries
        if self.retention.age is not None:
            window = (first, first + limit, now - self.retention.age)
            too_old = connection.execute(sql.LAST_OLD_ENTRY, window).get or 0
            too_many = max(too_many, too_old)
        end = min(too_many, first + limit - 1)
        return (first, end) if end >= first else None

    def running(self, limit: int | None = None) -> list[Running]:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.RUNNING, (self.name, limit_of(limit)))
            return [_running(*row) for row in rows]

    def note_starts(self, starts: Sequence[Start]) -> None:
        """See the contract."""
        rows = [(started, worker, *key, self.name) for key, started, worker in starts]
        with self.database.write() as transaction:
            transaction.connection.executemany(sql.NOTE_START, rows)

    def set_progress(self, key: ClaimKey, progress: Progress) -> bool:
        """See the contract."""
        with self.database.write(durable=False) as transaction:
            row = (*key, self.name, *progress)
            return transaction.connection.execute(sql.SET_PROGRESS, row).get is not None

    def progress(self, id: str) -> Progress | None:
        """See the contract."""
        with self.database.read() as connection:
            row = connection.execute(sql.PROGRESS_OF, (self.name, id)).get
            return None if row is None else Progress(*row)


def limit_of(limit: int | None) -> int:
    """A limit as SQLite has it, to which none is less than zero."""
    return -1 if limit is None else limit


def _entries(settlements: Iterable[Settlement], first: int, now: int) -> list[tuple[object, ...]]:
    """The rows of ended attempts, numbered from `first`, for either of the two statements."""
    rows: list[tuple[object, ...]] = []
    for entry, ((seq, attempt, owner), outcome, attempted) in enumerate(settlements, first):
        started, duration, worker, *end = attempted or _NOTHING_KNOWN
        ended = now if started is None or duration is None else started + duration
        row = (seq, entry, attempt, owner, ended, duration, worker)
        rows.append(row if outcome.status == "complete" else (*row, outcome.status, *end, outcome.reason))
    return rows


def _running(
    id: str,
    name: str,
    attempt: int,
    owner: int,
    started: int | None,
    worker: int | None,
    done: float | None,
    *progress: Any,
) -> Running:
    told = None if done is None else Progress(done, *progress)
    return Running(id, name, attempt, owner, started, worker, told)
