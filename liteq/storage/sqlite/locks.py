"""The verbs about locks.

None of them waits for the disk: a power failure ends all processes, and so all that they held.
"""

from __future__ import annotations

from collections.abc import Sequence

from liteq.identity import Identity
from liteq.messages import ClaimKey
from liteq.storage.base import Holder
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database


class LockVerbs:
    """The locks of one queue in the file."""

    name: str
    database: Database

    def acquire_lock(self, holder: Holder, *, limit: int, now: int) -> bool:
        """See the contract."""
        with self.database.read() as connection:  # most who are refused need no write lock for it
            others = (self.name, holder.name, holder.token, now)
            if connection.execute(sql.COUNT_OTHER_HOLDERS, others).get >= limit:
                return False
        with self.database.write(durable=False) as transaction:
            connection = transaction.connection
            connection.execute(sql.END_EXPIRED_LOCKS, (self.name, holder.name, now))
            claim = holder.claim or (None, None, None)
            row = (*self._place(holder), *claim, holder.expires, limit)
            return connection.execute(sql.ACQUIRE_LOCK, row).get is not None

    def renew_lock(self, holder: Holder, *, now: int) -> bool:
        """See the contract."""
        with self.database.write(durable=False) as transaction:
            row = (*self._place(holder), holder.expires, now)
            return transaction.connection.execute(sql.RENEW_LOCK, row).get is not None

    def release_lock(self, holder: Holder, *, now: int) -> bool:
        """See the contract."""
        with self.database.write(durable=False) as transaction:
            return bool(transaction.connection.execute(sql.RELEASE_LOCK, (*self._place(holder), now)).get)

    def locks(self, name: str | None = None, *, now: int) -> list[Holder]:
        """See the contract."""
        with self.database.read() as connection:
            if name is None:
                return [_holder(*row) for row in connection.execute(sql.LOCKS, (self.name, now))]
            return [_holder(*row) for row in connection.execute(sql.LOCKS_OF_NAME, (self.name, now, name))]

    def clear_locks(self, names: Sequence[str] | None = None, *, now: int) -> set[str]:
        """See the contract."""
        with self.database.write(durable=False) as transaction:
            held = {holder.name for holder in self.locks(now=now)}
            cleared = held if names is None else held.intersection(names)
            transaction.connection.executemany(sql.CLEAR_LOCK, [(self.name, name) for name in cleared])
        return cleared

    def _place(self, holder: Holder) -> tuple[str, str, str, str, int, str]:
        return (self.name, holder.name, holder.token, *holder.process)


def _holder(
    name: str,
    token: str,
    host: str,
    pid: int,
    started: str,
    seq: int | None,
    attempt: int,
    owner: int,
    expires: int | None,
) -> Holder:
    claim = None if seq is None else ClaimKey(seq, attempt, owner)
    return Holder(name, token, Identity(host, pid, started), claim, expires)
