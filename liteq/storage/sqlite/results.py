"""The verbs about results and revocations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from liteq import clock
from liteq.messages import ClaimKey, Revocation
from liteq.storage.base import Wakeup
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.database import Database


class ResultVerbs:
    """The result store and the revocations of one queue in the file."""

    name: str
    database: Database

    def put_result(self, key: str, value: bytes, *, expires: int | None = None) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            transaction.connection.execute(sql.PUT_RESULT, (self.name, key, value, expires))
            transaction.ended_tasks = True

    def put_if_empty(self, key: str, value: bytes, *, now: int, expires: int | None = None) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            row = (self.name, key, value, expires, now)
            stored = transaction.connection.execute(sql.PUT_RESULT_IF_EMPTY, row).get is not None
            transaction.ended_tasks = transaction.ended_tasks or stored
            return stored

    def peek_result(self, key: str) -> bytes | None:
        """See the contract."""
        with self.database.read() as connection:
            value: bytes | None = connection.execute(sql.PEEK_RESULT, (self.name, key, clock.now())).get
            return value

    def pop_result(self, key: str) -> bytes | None:
        """See the contract."""
        if self.peek_result(key) is None:  # most looks find nothing: they need no write lock
            return None
        with self.database.write(durable=False) as transaction:  # undone, the value is there again
            row = (self.name, key, clock.now())
            value: bytes | None = transaction.connection.execute(sql.POP_RESULT, row).get
            return value

    def delete_result(self, key: str) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            row = (self.name, key, clock.now())
            return transaction.connection.execute(sql.POP_RESULT, row).get is not None

    def results(self) -> dict[str, bytes]:
        """See the contract."""
        with self.database.read() as connection:
            return dict(connection.execute(sql.RESULTS, (self.name, clock.now())))

    def result_count(self) -> int:
        """See the contract."""
        with self.database.read() as connection:
            count: int = connection.execute(sql.COUNT_RESULTS, (self.name, clock.now())).get
            return count

    def is_live(self, id: str) -> bool:
        """See the contract."""
        with self.database.read() as connection:
            return bool(connection.execute(sql.IS_LIVE, (self.name, id)).get)

    def ended(self, ids: Sequence[str]) -> set[str]:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.ENDED, (self.name, json.dumps(ids), clock.now()))
            return {id for (id,) in rows}

    def results_wakeup(self) -> Wakeup:
        """See the contract."""
        return self.database.done_bell.wakeup

    def revoke(self, key: str, revocation: Revocation) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            transaction.connection.execute(sql.PUT_REVOCATION, (self.name, key, *revocation))
            transaction.new_work = True

    def restore(self, key: str) -> bool:
        """See the contract."""
        with self.database.write() as transaction:
            return transaction.connection.execute(sql.DELETE_REVOCATION, (self.name, key)).get is not None

    def revocations(self, keys: Sequence[str]) -> dict[str, Revocation]:
        """See the contract."""
        found = {}
        with self.database.read() as connection:
            for key in keys:
                row = connection.execute(sql.GET_REVOCATION, (self.name, key)).get
                if row is not None:
                    found[key] = Revocation(row[0], bool(row[1]), bool(row[2]))
        return found

    def revoked_claims(self, owner: int, now: int) -> dict[ClaimKey, bool]:
        """See the contract."""
        with self.database.read() as connection:
            if not connection.execute(sql.ANY_REVOCATION, (self.name,)).get:
                return {}
            rows = connection.execute(sql.REVOKED_CLAIMS, (self.name, owner, now))
            return {ClaimKey(*key): bool(terminate) for *key, terminate in rows}
