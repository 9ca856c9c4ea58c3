"""The SQLite backend: one file in WAL mode, shared by any number of processes on one machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import cast

import apsw

from liteq.exceptions import ConfigurationError
from liteq.identity import Identity
from liteq.storage.base import Capabilities, DeadTask, Storage, Subscription, WakeSource
from liteq.storage.contract.misspelt import refuse_unknown
from liteq.storage.contract.records import KEPT_BY_DEFAULT, checked_duration, retention
from liteq.storage.pipes import PipeFolder, PipeVerbs
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.connection import Durability, Settings
from liteq.storage.sqlite.database import Database, Transaction
from liteq.storage.sqlite.files import real_of
from liteq.storage.sqlite.limits import LimitVerbs
from liteq.storage.sqlite.locks import LockVerbs
from liteq.storage.sqlite.messages import MessageVerbs
from liteq.storage.sqlite.numbers import delete_messages, leave_mark
from liteq.storage.sqlite.periodic import PeriodicVerbs
from liteq.storage.sqlite.records import limit_of
from liteq.storage.sqlite.results import ResultVerbs

_PAGES_BEFORE_CHECKPOINT = 4_000
_PAGES_BEFORE_RESTART = 64_000
# SQLite allows 1,000,000,000 bytes for a row; this leaves a million for its other columns.
_MAX_PAYLOAD = 999_000_000


class SqliteStorage(MessageVerbs, ResultVerbs, PeriodicVerbs, LockVerbs, LimitVerbs, PipeVerbs, Storage):
    """A named queue in a SQLite file; several queues may share one. Making one opens nothing.

    Args:
        name: the queue.
        filename: the file, made on first use with mode 0600; the folder must exist.
        durability: "full" (an acknowledged task survives a power failure), "normal" (it survives the death
            of any process; the last commits may be lost when the power fails) or "off" (the file may be
            damaged when the power fails).
        cache_mb: page cache of each connection, in MiB.
        fsync: huey's name for it: True is "full", False is "normal".
        journal_mode: only "wal".
        timeout: seconds to wait for another process's write lock. Whoever holds it waits for the disk at the
            most, but disks have been seen to stand still for longer than the five seconds that huey allows.
        strict_fifo: accepted; the order is always strict.
        expire_time: seconds after which the results of tasks expire; None: they stay until they are read.
        history: how many ended attempts are remembered; 0 is none.
        history_age: seconds for which they are remembered; None is no bound.
        secure_delete: overwrite with zeros what is deleted, so that it can't be found in the file any more.
            Every process that uses the file has to say so for what it deletes.

    Raises:
        ConfigurationError: for an option that is unknown or has no such value.
    """

    capabilities = Capabilities(durable=True, shared=True, max_payload=_MAX_PAYLOAD, events=True)

    def __init__(
        self,
        name: str = "huey",
        filename: str | os.PathLike[str] = "huey.db",
        *,
        durability: Durability | None = None,
        cache_mb: int = 8,
        fsync: bool | None = None,
        journal_mode: str = "wal",
        timeout: float = 60,
        strict_fifo: bool = True,
        expire_time: float | None = None,
        history: int = KEPT_BY_DEFAULT,
        history_age: float | None = None,
        secure_delete: bool = False,
        **unknown: object,
    ) -> None:
        del strict_fifo
        refuse_unknown(SqliteStorage, unknown)
        if str(journal_mode).lower() != "wal":
            raise ConfigurationError(f"journal_mode must be 'wal', not {journal_mode!r}")
        _check_number("timeout", timeout)
        _check_number("cache_mb", cache_mb)
        path = _checked_path(filename)
        self.name = name
        self.expire_time = checked_duration("expire_time", expire_time)
        self.retention = retention(history, history_age)
        self.meter = self.retention.meter()
        path = os.path.abspath(path)  # noqa: PTH100 -- unlike Path, it takes `..` away
        level = _durability(durability, fsync)
        settings = Settings(path, level, timeout, int(cache_mb), bool(secure_delete))
        self.database = Database(settings)
        self._listeners = PipeFolder(f"{real_of(path)}-events", real_of(path), name)

    # Lifecycle

    def describe(self) -> str:
        """See the contract."""
        return (
            f"{self.database.path} (SQLite {apsw.sqlite_lib_version()}, {self.database.settings.durability})"
        )

    def close(self) -> None:
        """See the contract."""
        self.database.close()

    # The contract's own returns the narrower type of a generator, which costs three times as much.
    def batch(self, *, durable: bool = True) -> AbstractContextManager[None]:  # type: ignore[override]
        """See the contract."""
        return cast("AbstractContextManager[None]", self.database.write(durable=durable))

    def sync(self) -> None:
        """See the contract."""
        self.database.sync()

    def work_source(self) -> WakeSource | None:
        """See the contract."""
        try:
            return self.database.work_bell.watch()
        except OSError:
            return None

    def subscribe(self) -> Subscription:
        """See the contract."""
        with self.database.read():
            pass  # which makes the file if there is none, and refuses one that is not to be trusted
        return super().subscribe()

    def version(self) -> int:
        """See the contract."""
        with self.database.read() as connection:
            # The number means something on one connection only; they are numbered as they are opened.
            own = self.database.opened + self.left_behind
            return (own << 32) + int(connection.execute("PRAGMA data_version").get)

    def abandon(self) -> None:
        """See the contract."""
        self.database.abandon()

    def maintain(self, *, full: bool = False) -> None:
        """Move the WAL into the database once it is long; only consumers do, so that no call has to wait."""
        pages = self.database.wal_pages()
        if full:
            self.database.checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        elif pages > _PAGES_BEFORE_CHECKPOINT:
            mode = (
                apsw.SQLITE_CHECKPOINT_RESTART
                if pages > _PAGES_BEFORE_RESTART
                else apsw.SQLITE_CHECKPOINT_PASSIVE
            )
            self.database.checkpoint(mode)

    # Consumers

    def register(self, consumer: Identity) -> int:
        """See the contract."""
        with self.database.write() as transaction:
            self.database.bind(transaction.handle)
            return int(transaction.connection.execute(sql.INSERT_CONSUMER, (self.name, *consumer)).get)

    def attend(self, owner: int, dispatcher: Identity) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            row = (dispatcher.pid, dispatcher.started, owner)
            transaction.connection.execute(sql.ATTEND_CONSUMER, row)
            self.database.bind(transaction.handle)

    def unregister(self, owner: int) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            transaction.connection.execute(sql.DELETE_CONSUMER, (owner,))

    def consumers(self) -> dict[int, tuple[Identity, Identity | None]]:
        """See the contract."""
        with self.database.read() as connection:
            return {
                owner: (Identity(host, pid, started), Identity(host, by, since) if by is not None else None)
                for owner, host, pid, started, by, since in connection.execute(sql.CONSUMERS, (self.name,))
            }

    # Inspection

    def pending(self, limit: int | None = None) -> list[bytes]:
        """See the contract."""
        return self._column(sql.PENDING, limit)

    def pending_count(self) -> int:
        """See the contract."""
        return self._count(sql.COUNT_PENDING)

    def scheduled(self, limit: int | None = None) -> list[bytes]:
        """See the contract."""
        return self._column(sql.SCHEDULED, limit)

    def scheduled_count(self) -> int:
        """See the contract."""
        return self._count(sql.COUNT_SCHEDULED)

    def running_count(self) -> int:
        """See the contract."""
        return self._count(sql.COUNT_RUNNING)

    def dead(self, limit: int | None = None) -> list[DeadTask]:
        """See the contract."""
        with self.database.read() as connection:
            rows = connection.execute(sql.DEAD, (self.name, limit_of(limit)))
            return [DeadTask(*row) for row in rows]

    def delete_dead(self, ids: Sequence[str]) -> int:
        """See the contract."""
        deleted = 0
        with self.database.write() as transaction:
            for id in ids:
                seqs = list(transaction.connection.execute(sql.DEAD_OF_ID, (self.name, id)))
                deleted += self._delete_dead(transaction, seqs)
        return deleted

    def delete_dead_before(self, died: int, limit: int) -> int:
        """See the contract."""
        with self.database.write() as transaction:
            seqs = list(transaction.connection.execute(sql.DEAD_BEFORE, (self.name, died, limit)))
            return self._delete_dead(transaction, seqs)

    def _delete_dead(self, transaction: Transaction, seqs: list[tuple[int]]) -> int:
        revoked = [(self.name, seq) for (seq,) in seqs]
        transaction.connection.executemany(sql.DELETE_REVOCATION_OF_MESSAGE, revoked)
        transaction.connection.executemany(sql.DELETE_DEAD, seqs)
        delete_messages(transaction.connection, [seq for (seq,) in seqs])
        return len(seqs)

    def flush(self) -> None:
        """See the contract."""
        with self.database.write() as transaction:
            last = transaction.connection.execute(sql.LAST_SEQ).get
            for statement in sql.FLUSH:
                transaction.connection.execute(statement, (self.name,))
            leave_mark(transaction.connection, last)
            transaction.ended_tasks = True

    def _column(self, statement: str, limit: int | None) -> list[bytes]:
        with self.database.read() as connection:
            return [data for (data,) in connection.execute(statement, (self.name, limit_of(limit)))]

    def _count(self, statement: str) -> int:
        with self.database.read() as connection:
            return int(connection.execute(statement, (self.name,)).get)


def _check_number(option: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ConfigurationError(f"{option} must be a number, zero or more, not {value!r}")


def _checked_path(filename: object) -> str:
    path = os.fspath(filename) if isinstance(filename, str | os.PathLike) else ""
    if not path or path.startswith((":memory:", "file:")):
        raise ConfigurationError(
            f"filename must be the path of a file, not {filename!r}; see also MemoryHuey"
        )
    return path


def _durability(durability: str | None, fsync: bool | None) -> Durability:
    named: dict[bool | None, Durability] = {None: "full", True: "full", False: "normal"}
    if durability is None:
        return named[fsync]
    if durability not in ("full", "normal", "off"):
        raise ConfigurationError(f"durability must be 'full', 'normal' or 'off', not {durability!r}")
    if fsync is not None and named[fsync] != durability:
        raise ConfigurationError(f"durability={durability!r} contradicts fsync={fsync}")
    return cast("Durability", durability)
