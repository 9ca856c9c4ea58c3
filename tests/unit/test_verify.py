"""What `verify` finds, and that it changes nothing."""

from __future__ import annotations

import os

import apsw
import pytest

from liteq import SqliteHuey, StorageError, chord
from liteq.exceptions import ForeignFile, StorageDamaged
from liteq.storage.sqlite import schema
from liteq.storage.sqlite.schema import PAGE_SIZE
from liteq.storage.sqlite.verify import verify


@pytest.fixture
def huey(filename):
    """A queue with a message in each state, and results."""
    huey = SqliteHuey(filename=filename, durability="off")
    huey.task(name="add")(max)
    task = huey.task(name="other")(min)
    broken = huey.task(name="broken")(lambda: None)
    for number in range(30):
        task(number, 1)
    task.schedule((1, 2), delay=1000)
    huey.enqueue(chord([task.s(1, 2)], task.s(1)))
    broken(priority=5)
    huey.dequeue()
    huey.put("k", 1)
    yield huey
    huey.storage.close()


def change(huey, *statements):
    with huey.storage.database.write() as transaction:
        for statement in statements:
            transaction.connection.execute(statement)


def test_a_file_that_is_whole(huey, filename):
    found = verify(str(filename))
    assert found.problems == []
    assert {"priority": 31, "schedule": 1, "claim": 1, "dead": 0}.items() <= found.states.items()
    assert (found.queues, found.results) == (1, 1)
    assert list(found.named_states())[:3] == ["ready", "scheduled", "running"]


def test_every_table_of_a_state_is_known(huey, filename):
    """The check finds them by their columns: a new state must have them, and nothing else may."""
    assert {"priority", "schedule", "claim", "dead"} <= set(verify(str(filename)).states)
    assert "queue" not in verify(str(filename)).states


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["DELETE FROM priority WHERE seq = 3"], "1 messages without a state, such as 3"),
        (["DELETE FROM priority WHERE seq IN (4, 3)"], "2 messages without a state, such as 3"),
        (
            ["INSERT INTO dead (seq, queue, attempt, crashes, died, reason) VALUES (3, 'huey', 1, 0, 0, '')"],
            "1 messages in more than one state, such as 3",
        ),
        (["DELETE FROM queue WHERE seq = 3"], "1 rows of priority without their message, such as 3"),
        (["DELETE FROM schedule"], "1 messages without a state"),
        (["UPDATE queue SET priority = 3 WHERE seq = 3"], "not in the place of their priority, such as 3"),
        (["UPDATE queue SET queue = 'q' WHERE seq = 3"], "1 rows of priority without their message"),
        (["DROP INDEX queue_id"], "queue_id is missing"),
        (["DROP INDEX queue_id", "CREATE INDEX queue_id ON queue (id)"], "queue_id is not as this version"),
        (["DROP TABLE slot"], "slot is missing"),
    ],
)
def test_what_does_not_hold(huey, filename, statements, says):
    change(huey, *statements)
    assert says in "\n".join(verify(str(filename)).problems)


def test_tables_of_others_are_no_problem(huey, filename):
    change(huey, "CREATE TABLE theirs (x)")
    assert verify(str(filename)).problems == []


def test_a_page_that_is_damaged(huey, filename):
    huey.storage.close()
    content = bytearray(filename.read_bytes())
    content[4 * PAGE_SIZE : 5 * PAGE_SIZE] = b"\xff" * PAGE_SIZE
    filename.write_bytes(content)
    assert verify(str(filename)).problems
    assert filename.read_bytes() == content


@pytest.mark.parametrize("size", [1000, 5000, 20_000, -1, -4000, -PAGE_SIZE])
def test_a_file_that_was_cut(huey, filename, size):
    huey.storage.close()
    os.truncate(filename, size if size > 0 else filename.stat().st_size + size)
    content = filename.read_bytes()
    try:
        problems = verify(str(filename)).problems
    except StorageError as error:
        problems = [str(error)]
    assert problems
    assert filename.read_bytes() == content


def test_it_changes_nothing(huey, filename):
    huey.storage.close()
    before, status = filename.read_bytes(), filename.stat()
    verify(str(filename))
    names = {path.name for path in filename.parent.iterdir()}
    assert filename.read_bytes() == before
    assert filename.stat().st_mtime_ns == status.st_mtime_ns
    assert names == {"queue.db", "queue.db-bell", "queue.db-done", "queue.db-line"} & names


def test_what_is_only_in_the_wal_is_seen_and_stays_there(huey, filename):
    """As after kill -9."""
    wal = filename.with_name("queue.db-wal")
    copy = filename.with_name("copy.db")
    copy.write_bytes(filename.read_bytes())
    copy.with_name("copy.db-wal").write_bytes(wal.read_bytes())
    found = verify(str(copy))
    assert found.problems == []
    assert found.states["priority"] == 31
    assert copy.with_name("copy.db-wal").read_bytes() == wal.read_bytes()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda path: None, StorageError, "no such file"),
        (lambda path: path.mkdir(), StorageError, "not a file"),
        (lambda path: path.touch(), StorageError, "empty"),
        (lambda path: path.write_text("Dear diary\n" * 500), ForeignFile, "not a SQLite database"),
        (lambda path: apsw.Connection(str(path)).execute("CREATE TABLE t (x)"), ForeignFile, "another app"),
        (lambda path: apsw.Connection(str(path)).pragma("user_version", 0), ForeignFile, "no tables"),
        (os.mkfifo, StorageError, "not a file"),
    ],
)
def test_what_is_no_queue(filename, make, error, says):
    make(filename)
    with pytest.raises(error, match=says):
        verify(str(filename))


def test_a_newer_schema(huey, filename):
    change(huey, f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(ForeignFile, match="newer liteq"):
        verify(str(filename))


def test_a_file_that_can_only_be_read(huey, filename):
    """In a folder without a place for SQLite's index, as on a medium for backups."""
    huey.storage.close()
    folder = filename.parent
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    folder.chmod(0o500)
    try:
        assert verify(str(filename)).problems == []
    finally:
        folder.chmod(0o700)


def test_a_null_where_none_can_be_is_damage(huey, filename):
    """SQLite does not look whether a row that it reads keeps the rules of its table."""
    rule, none = "attempt INTEGER NOT NULL", "attempt INTEGER"
    huey.storage.close()
    connection = apsw.Connection(str(filename))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    for before, after in ((rule, none), (none, rule)):
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'priority'", (before, after)
        )
        connection.execute("PRAGMA writable_schema = RESET")
        if after == none:
            connection.execute("UPDATE priority SET attempt = NULL")
    connection.close()
    with pytest.raises(StorageDamaged, match="it is damaged"):
        huey.dequeue()
    assert huey.counts().running == 1, "no more than before"
