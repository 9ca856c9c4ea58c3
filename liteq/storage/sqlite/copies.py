"""Copies of a queue's file, made by SQLite while the queue is in use; and putting one back.

A copy is made under a temporary name, checked, synchronised with the disk, and only then given its name: it
is there as a whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from liteq.exceptions import StorageError
from liteq.storage.sqlite.errors import out_of_room, translate
from liteq.storage.sqlite.existing import open_existing
from liteq.storage.sqlite.files import refuse_strangers, size_of
from liteq.storage.sqlite.verify import check

_PAGES_AT_ONCE = 2_000
_TAKEN = "it exists already; use another name, or remove it first"


def backup(path: str, destination: str) -> None:
    """Copy a queue's file, as it is at one moment; it may be in use meanwhile, and nobody has to wait.

    Args:
        path: the queue's file.
        destination: the copy, which must not exist; it is made with mode 0600.

    Raises:
        StorageError: if the file can't be read or is not whole, or a copy can't be made. There is none then.
    """
    refuse_existing(destination)
    with opened(path) as source, staged(source, path, destination) as copy:
        check(copy)
        synchronise(copy)
        give_name(copy, destination)


def refuse_existing(path: str) -> None:
    """Refuse a name that is taken, or next to which something lies that SQLite would take for its own.

    Raises:
        StorageError: if it is so.
    """
    if os.path.lexists(path):
        raise StorageError(f"{path}: {_TAKEN}")
    for name in (f"{path}-wal", f"{path}-journal"):
        if size_of(name):
            raise StorageError(f"{path}: there is {name}, of another database; move it away first")


@contextmanager
def opened(path: str) -> Iterator[apsw.Connection]:
    """A connection to a queue's file that only reads.

    Raises:
        StorageError: if the file can't be read, or is a stranger's in a folder of everybody's.
    """
    refuse_strangers(path)
    try:
        connection = open_existing(path)
    except apsw.Error as error:
        raise translate(error, path) from error
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def staged(source: apsw.Connection, path: str, destination: str) -> Iterator[str]:
    """A copy of a database, in the folder where it is to be; it is gone at the end unless it got a name.

    Raises:
        StorageError: if it can't be made.
    """
    folder = _new_folder(destination)
    stage = os.path.join(folder, "copy")  # noqa: PTH118 -- names, as everywhere here
    try:
        _new_file(stage)
        try:
            copy_into(source, stage)
        except apsw.Error as error:
            # Of these two the copy is far more often the cause than the file that is read.
            of_copy = isinstance(error, apsw.FullError | apsw.IOError)
            raise translate(error, destination if of_copy else path) from error
        yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(destination: str) -> str:
    """A folder beside the destination, for its owner alone.

    SQLite takes whatever has the name of a WAL for one. Where everybody may make files, nobody else can
    put one beside a copy that is in such a folder.
    """
    beside, name = os.path.split(os.path.abspath(destination))  # noqa: PTH100 -- links stay as they are
    try:
        return tempfile.mkdtemp(".partial", f".{name[:100]}.", beside)
    except OSError as error:
        raise StorageError(f"{destination}: it can't be made: {error.strerror}") from error


def _new_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def copy_into(source: apsw.Connection, path: str) -> None:
    """Copy a database page by page into an empty file; all pages are of one moment.

    Raises:
        apsw.Error: if reading or writing fails.
    """
    target = apsw.Connection(path)
    try:
        # If it fails it is thrown away, and else it is synchronised as a whole.
        target.pragma("journal_mode", "off")
        target.pragma("synchronous", "off")
        with source:  # a transaction: what others commit meanwhile does not make it start anew
            source.pragma("schema_version")
            with target.backup("main", source, "main") as copy:
                while not copy.done:
                    copy.step(_PAGES_AT_ONCE)
    except apsw.Error as error:
        raise out_of_room(error, target) from error
    finally:
        target.close()


def synchronise(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        StorageError: if the disk can't take it.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StorageError(f"{path}: can't be synchronised with the disk: {error.strerror}") from error


def give_name(stage: str, destination: str) -> None:
    """Make a file that is ready appear at its destination, where nothing is yet.

    Raises:
        StorageError: if something is there by now.
    """
    try:
        os.link(stage, destination)
    except FileExistsError as error:
        raise StorageError(f"{destination}: {_TAKEN}") from error
    except OSError:  # a file system without hard links
        refuse_existing(destination)
        os.rename(stage, destination)  # noqa: PTH104
    synchronise(str(Path(destination).absolute().parent))
