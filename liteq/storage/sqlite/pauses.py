"""The verbs that hold tasks back, and what a claim does about paused messages.

A name is paused by one small row. The messages of it that are ready stay where they are until a claim meets
them at the head of the line; then they are parked, so that none is looked at twice. `resume` marks that row,
and claims bring the parked messages back to their old places, the first ones first. Both go in steps, so that
a million messages hold nobody up; the row is there as long as any message is parked because of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database, Transaction

_PARKED_AT_ONCE = 2_000
# More than a claim takes, so that the head of the line is complete whatever is still parked.
_UNPARKED_AT_ONCE = 1_000

_QUEUE = ""
"""The name under which the queue as a whole is paused."""

Ready = tuple[int, int, int, int, str, str, bytes | None, int, str | None]
"""A row of READY_MESSAGES."""


class PauseVerbs:
    """Pauses of one queue in the file."""

    name: str
    database: Database
    left_behind = 0
    """How many claims have left paused messages at the head of the line, and perhaps others behind them."""

    def pause(self, name: str | None) -> bool:
        """See the contract."""
        return self._change(sql.PAUSE, name)

    def resume(self, name: str | None) -> bool:
        """See the contract."""
        return self._change(sql.RESUME, name)

    def _change(self, statement: str, name: str | None) -> bool:
        with self.database.write() as transaction:
            row = (self.name, name or _QUEUE)
            changed = transaction.connection.execute(statement, row).get is not None
            transaction.new_work = changed
            return changed

    def paused(self) -> frozenset[str | None]:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.PAUSED, (self.name,))
            return frozenset(name or None for (name,) in rows)

    def _not_paused(self, transaction: Transaction, limit: int, inline: int | None) -> list[Ready]:
        """The first ready messages that are not paused."""
        connection = transaction.connection
        pauses = dict(connection.execute(sql.PAUSES, (self.name,)))
        paused = {name for name, resumed in pauses.items() if not resumed}
        if _QUEUE in paused:
            return []
        for name in pauses.keys() - paused:
            self._unpark(transaction, name, limit)
        rows = self._ready(transaction, limit, inline)
        if not any(row[5] in paused for row in rows):
            return rows
        self._park(transaction)
        rows = self._ready(transaction, limit, inline)
        allowed = [row for row in rows if row[5] not in paused]
        if len(allowed) < len(rows):
            transaction.new_work = True
            self.left_behind += 1
        return allowed

    def _ready(self, transaction: Transaction, limit: int, inline: int | None) -> list[Ready]:
        return list(transaction.connection.execute(sql.READY_MESSAGES, (inline, self.name, limit)))

    def _park(self, transaction: Transaction) -> None:
        """Set the paused messages aside that are at the head of the line."""
        parked = list(transaction.connection.execute(sql.PARK, (self.name, _PARKED_AT_ONCE)))
        transaction.connection.executemany(sql.DELETE_READY, parked)

    def _unpark_ids(self, transaction: Transaction, ids: Sequence[str]) -> None:
        """Bring the messages of these ids back to their places, for somebody who means just them."""
        connection = transaction.connection
        if connection.execute(sql.ANY_PARKED, (self.name,)).get:
            parked = list(connection.execute(sql.UNPARK_IDS, (self.name, json.dumps(ids))))
            connection.executemany(sql.INSERT_READY, parked)

    def _unpark(self, transaction: Transaction, name: str, limit: int) -> None:
        """Bring the first messages of a name back to their places, and forget the pause with the last."""
        step = (self.name, name, max(limit, _UNPARKED_AT_ONCE))
        transaction.connection.execute(sql.UNPARK, step)
        moved = transaction.connection.changes()
        transaction.connection.execute(sql.DELETE_UNPARKED, step)
        if moved < step[2]:
            transaction.connection.execute(sql.DELETE_PAUSE, (self.name, name))
