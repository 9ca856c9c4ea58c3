"""Put a backup in the place of a queue's file."""

from __future__ import annotations

import fcntl
import os
import stat
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from liteq.exceptions import ForeignFile, StorageDamaged, StorageError
from liteq.identity import Identity, is_gone
from liteq.storage.sqlite import sql
from liteq.storage.sqlite.connection import Settings, wait_when_busy
from liteq.storage.sqlite.copies import give_name, opened, refuse_existing, staged, synchronise
from liteq.storage.sqlite.errors import translate
from liteq.storage.sqlite.files import real_of
from liteq.storage.sqlite.numbers import leave_mark
from liteq.storage.sqlite.verify import check

# Where SQLite has its locks (https://sqlite.org/src/doc/trunk/src/os.h): all who have a file in WAL mode open
# hold a shared lock there.
_SHARED_FIRST: Final = 0x40000002
_SHARED_SIZE: Final = 510

_A_PAST_BOOT: Final = "before a restore"
_MARGIN: Final = 1_000
"""Numbers of consumers that are left out, for one that registers at this very moment."""


class Restored(NamedTuple):
    """What a restore did."""

    kept: str | None
    """Where the file is that was there before; None if there was none."""


class Numbers(NamedTuple):
    """The highest numbers that a file has given out."""

    message: int = 0
    consumer: int = 0


class _State(NamedTuple):
    """What is known of the file that is to be replaced."""

    is_open: bool
    """Another process has it open."""
    is_ours: bool
    """It can be opened as a queue's file."""
    numbers: Numbers
    """The highest numbers that it has given out."""


def restore(path: str, source: str) -> Restored:
    """Replace what is in a queue's file by a backup; consumers must have been stopped.

    Whoever has claimed tasks in the backup is taken for gone: the next consumer recovers them. Programs that
    only call tasks may go on: the replacement is one transaction. The file that was there is kept, with
    ".before-restore-" and a number behind its name.

    Raises:
        StorageError: if the backup is not whole, a consumer works on the file, or writing fails; the file
            is then as it was.
    """
    if real_of(path) == real_of(source):
        raise StorageError(f"{path}: the backup and the file to restore are the same")
    path = real_of(path)
    with opened(source) as backup, staged(backup, source, path) as stage:
        check(stage)
        if not os.path.lexists(path):
            refuse_existing(path)
            return _place(stage, path, Numbers(), None)
        state = _state_of(path)
        aside = _free_name(path)
        if state.is_ours:
            return _overwrite(stage, path, state.numbers, aside)
        if state.is_open:
            raise StorageError(f"{path}: it is damaged, and a process has it open: end what uses it first")
        return _place(stage, path, state.numbers, aside)


def _state_of(path: str) -> _State:
    """Look at the file.

    Raises:
        StorageError: if a consumer works on it.
        ForeignFile: if it is a database of another application, or of a newer liteq.
    """
    is_open = _is_open_elsewhere(path)  # before SQLite opens it here: closing it drops SQLite's locks
    try:
        with opened(path) as connection:
            rows = list(connection.execute(sql.ALL_CONSUMERS))
            numbers = Numbers(*connection.execute(sql.NUMBERS).get)
    except ForeignFile as error:
        if isinstance(error.__cause__, apsw.NotADBError):  # what it was can't be seen any more
            return _State(is_open, is_ours=False, numbers=Numbers())
        raise
    except (StorageDamaged, apsw.Error):
        return _State(is_open, is_ours=False, numbers=Numbers())
    except StorageError:
        if Path(path).is_file():
            return _State(is_open, is_ours=False, numbers=Numbers())
        raise
    for row in rows:
        _refuse_consumer(path, row, is_open=is_open)
    return _State(is_open, is_ours=True, numbers=numbers)


def _is_open_elsewhere(path: str) -> bool:
    try:
        with open(path, "r+b") as file:  # noqa: PTH123 -- a name, as everywhere here
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
    except BlockingIOError:
        return True
    except OSError as error:
        raise StorageError(f"{path}: it can't be written: {error.strerror}") from error
    return False


def _refuse_consumer(path: str, row: tuple[str, int, str, int | None, str | None], *, is_open: bool) -> None:
    host, pid, started, dispatcher_pid, dispatcher_started = row
    for number, since in ((pid, started), (dispatcher_pid, dispatcher_started)):
        gone = True if number is None else is_gone(Identity(host, number, str(since)))
        if gone is False:
            raise StorageError(f"{path}: a consumer works on it (pid {number}); stop it first")
        if gone is None and is_open:
            raise StorageError(
                f"{path}: a consumer of another container may work on it (pid {number} there), and it is in "
                "use; stop what uses it first"
            )


def _adjust(stage: str, numbers: Numbers) -> None:
    """Nobody works on a copy, and what was numbered in the file that it replaces must not come again."""
    connection = apsw.Connection(stage)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(sql.FORGET_CONSUMERS, (_A_PAST_BOOT,))
        leave_mark(connection, numbers.message)
        for statement in (sql.RAISE_CONSUMERS, sql.START_CONSUMERS):
            connection.execute(statement, (numbers.consumer + _MARGIN,))
        connection.execute("COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.Error as error:
        raise translate(error, stage) from error
    finally:
        connection.close()


def _overwrite(stage: str, path: str, numbers: Numbers, aside: str) -> Restored:
    """By SQLite, in one transaction: others may have the file open."""
    with opened(path) as current, staged(current, path, aside) as copy:
        synchronise(copy)
        give_name(copy, aside)
    _adjust(stage, numbers)
    source, target = apsw.Connection(stage), apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        wait_when_busy(target, Settings(path).timeout)
        target.pragma("synchronous", "full")
        with target.backup("main", source, "main") as copying:
            copying.step(-1)
    except apsw.Error as error:
        os.unlink(aside)  # noqa: PTH108
        raise translate(error, path) from error
    finally:
        source.close()
        target.close()
    return Restored(aside)


def _place(stage: str, path: str, numbers: Numbers, aside: str | None) -> Restored:
    """By its name: nobody has the file open, if there is one, and SQLite can't."""
    _adjust(stage, numbers)
    synchronise(stage)
    if aside is None:
        give_name(stage, path)
        return Restored(None)
    try:
        _take_after(stage, Path(path).stat())
        os.link(path, aside)
        if os.path.lexists(f"{path}-wal"):
            os.rename(f"{path}-wal", f"{aside}-wal")  # noqa: PTH104
        os.replace(stage, path)  # noqa: PTH105
    except OSError as error:
        raise StorageError(f"{path}: it can't be replaced: {error.strerror}") from error
    synchronise(str(Path(path).parent))
    return Restored(aside)


def _take_after(stage: str, old: os.stat_result) -> None:
    """Let those use the file who could use the one before; only root can give files away."""
    if os.geteuid() == 0:
        os.chown(stage, old.st_uid, old.st_gid)
    Path(stage).chmod(stat.S_IMODE(old.st_mode) & 0o666)


def _free_name(path: str) -> str:
    names = (f"{path}.before-restore-{number}" for number in count(1))
    return next(name for name in names if not any(map(os.path.lexists, (name, f"{name}-wal"))))
