"""The verbs about rate limits and counters."""

from __future__ import annotations

from collections.abc import Callable

import apsw

from liteq.storage.base import Instant
from liteq.storage.contract.limits import added
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database

# No machine is up again sooner. What a power failure undoes within a shorter span than this is over by then.
_FASTEST_RESTART = 5_000_000


class LimitVerbs:
    """The rate limits and counters of one queue in the file."""

    name: str
    database: Database

    def hit(self, name: str, *, limit: int, per: int, clock: Callable[[], Instant]) -> int:
        """See the contract."""
        with self.database.read() as connection:  # most who are refused need no write lock for it
            _, earlier = self._look(connection, name, limit)
            now = clock()
            if earlier is not None and now.since(earlier) < per:
                return per - now.since(earlier)
        with self.database.write(durable=per > _FASTEST_RESTART) as transaction:
            connection = transaction.connection
            last, earlier = self._look(connection, name, limit)
            now = clock()
            if earlier is not None and now.since(earlier) < per:
                return per - now.since(earlier)
            connection.execute(sql.INSERT_HIT, (self.name, name, last + 1, *now, now.ticks + per))
            connection.execute(sql.DELETE_OLD_HITS, (self.name, name, last + 1 - limit))
        return 0

    def _look(self, connection: apsw.Connection, name: str, limit: int) -> tuple[int, Instant | None]:
        """The number of the last hit; and when the one was made that has to be over before the next."""
        last = connection.execute(sql.LAST_HIT, (self.name, name)).get or 0
        row = connection.execute(sql.GET_HIT, (self.name, name, last + 1 - limit)).get
        return last, None if row is None else Instant(*row)

    def hits(self, name: str, *, per: int, now: Instant) -> int:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.HITS, (self.name, name))
            return sum(now.since(Instant(*row)) < per for row in rows)

    def clear_hits(self, name: str) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            return transaction.connection.execute(sql.CLEAR_HITS, (self.name, name)).get is not None

    def incr(self, key: str, amount: int = 1) -> int:
        """See the contract."""
        with self.database.write() as transaction:
            connection = transaction.connection
            value = added(connection.execute(sql.GET_COUNTER, (self.name, key)).get or 0, amount)
            connection.execute(sql.PUT_COUNTER, (self.name, key, value))
        return value

    def counter(self, key: str) -> int:
        """See the contract."""
        with self.database.read() as connection:
            return connection.execute(sql.GET_COUNTER, (self.name, key)).get or 0

    def delete_counter(self, key: str) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            return transaction.connection.execute(sql.DELETE_COUNTER, (self.name, key)).get is not None

    def prune(self, limit: int, *, now: Instant, monotonic: int) -> int:
        """See the contract."""
        over = (
            (sql.EXPIRED_RESULTS, (self.name, now.wall), sql.DELETE_RESULT),
            (sql.EXPIRED_LOCKS, (self.name, monotonic), sql.DELETE_LOCK),
            (
                sql.HITS_THAT_ARE_OVER,
                (self.name, now.boot, now.ticks, now.wall),
                sql.DELETE_HIT,
            ),
        )
        return sum(self._prune(find, row, delete, limit) for find, row, delete in over)

    def _prune(self, find: str, row: tuple[str | int, ...], delete: str, limit: int) -> int:
        with self.database.read() as connection:
            if connection.execute(find, (*row, 1)).get is None:
                return 0
        with self.database.write(durable=False) as transaction:
            keys = list(transaction.connection.execute(find, (*row, limit)))
            transaction.connection.executemany(delete, keys)
        return len(keys)
