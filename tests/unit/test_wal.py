"""The write-ahead log: when it is synchronised, and how it grows. What power failures leave is tried in stress."""

import os
import shutil
from pathlib import Path

import pytest

from liteq import SqliteHuey, StorageError
from liteq.identity import identify
from liteq.messages import Disposition, Message, Outcome, Settlement
from liteq.storage.sqlite import SqliteStorage, wal
from liteq.storage.sqlite.existing import queues_in
from liteq.storage.sqlite.schema import PAGE_SIZE
from liteq.storage.sqlite.verify import verify

FRAME = PAGE_SIZE + 24


def put(storage, *ids, size=10):
    storage.put([Message(id, "app.task", b"x" * size) for id in ids], 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue.db"


@pytest.fixture
def syncs(monkeypatch, path):
    """What is called at each sync; it goes to the disk all the same."""
    seen = []
    real = wal._sync

    def sync(fd):
        assert str(Path(f"/proc/self/fd/{fd}").readlink()) == f"{path}-wal"
        seen.append(fd)
        for look in looks:
            look()
        real(fd)

    looks = []
    monkeypatch.setattr(wal, "_sync", sync)
    return seen, looks


@pytest.mark.parametrize(("durability", "expected"), [("full", 3), ("normal", 0), ("off", 0)])
def test_a_call_returns_after_its_sync(path, syncs, durability, expected):
    storage = SqliteStorage("q", path, durability=durability)
    for id in "abc":
        put(storage, id)
    storage.close()
    assert len(syncs[0]) == expected


def test_what_need_not_be_durable_does_not_wait_for_the_disk(path, syncs):
    storage = SqliteStorage("q", path)
    with storage.batch(durable=False):
        put(storage, "a")
    assert syncs[0] == []
    storage.sync()
    assert len(syncs[0]) == 1
    storage.close()


def test_others_write_while_one_waits_for_the_disk(path, syncs):
    """The lock is free, the commit is there, and consumers have been woken."""
    storage, other = SqliteStorage("q", path), SqliteStorage("q", path, durability="normal", timeout=0.1)
    put(other, "before")
    source = other.work_source()
    source.drain()
    seen = []

    def look():
        seen.append(other.pending_count())
        put(other, f"during{len(seen)}")
        seen.append(bool(os.read(source.fileno(), 4096)))

    syncs[1].append(look)
    put(storage, "a")
    assert seen == [2, True]
    source.close()
    storage.close()
    other.close()


def test_who_waits_for_a_result_is_told_after_the_sync(path, syncs):
    huey = SqliteHuey("q", filename=path)
    done = huey.storage.database.done_bell.wakeup
    ticket = done.ticket()
    rang = []
    syncs[1].append(lambda: rang.append(done.wait(ticket, 0)))
    huey.put("key", 1)
    assert rang == [False]
    assert done.wait(ticket, 10)
    huey.storage.close()


def test_a_sync_that_fails_is_an_error(path, syncs):
    storage = SqliteStorage("q", path)
    put(storage, "a")

    def fail():
        raise OSError(5, "Input/output error")

    syncs[1].append(fail)
    with pytest.raises(StorageError, match=r"queue\.db-wal: can't be synchronised .* Input/output error"):
        put(storage, "b")
    syncs[1].clear()
    put(storage, "c")  # and the next one is not hindered
    storage.close()


def test_what_could_not_be_synchronised_is_not_committed(path, monkeypatch):
    """The process has no descriptor left for the log: a call that fails has stored nothing."""
    storage = SqliteStorage("q", path)

    real = os.open

    def refuse(name, *arguments):
        if str(name).endswith("-wal"):
            raise OSError(24, "Too many open files")
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=r"queue\.db-wal: .* Too many"):
        put(storage, "a")
    monkeypatch.undo()
    assert storage.pending_count() == 0
    put(storage, "b")
    assert storage.pending_count() == 1
    storage.close()


def size_of_wal(path):
    return path.with_name("queue.db-wal").stat().st_size


def test_it_is_longer_than_it_has_to_be(path):
    """So that most commits write over what is there."""
    storage = SqliteStorage("q", path)
    grew, before = 0, 0
    for number in range(300):
        put(storage, str(number))
        grew += size_of_wal(path) != before
        before = size_of_wal(path)
    pages = storage.database.wal_pages()
    assert pages * FRAME < before <= 2 * pages * FRAME + 2**20
    assert grew < 12
    storage.close()


def test_it_does_not_grow_for_ever(path, monkeypatch):
    monkeypatch.setattr(wal, "GROWN_AT_MOST", 100_000)
    storage = SqliteStorage("q", path)
    for number in range(100):
        put(storage, str(number), size=2_000)
    pages = storage.database.wal_pages()
    assert pages * FRAME > 300_000
    assert size_of_wal(path) <= pages * FRAME + 32 + wal._LEAST_STEP
    storage.close()


def test_what_does_not_wait_for_the_disk_does_not_grow_it(path):
    storage = SqliteStorage("q", path, durability="normal")
    for number in range(100):
        put(storage, str(number))
    assert size_of_wal(path) == storage.database.wal_pages() * FRAME + 32
    storage.close()


def test_zeros_at_its_end_are_no_part_of_it(path, tmp_path):
    """As after the death of all processes: SQLite reads the log anew."""
    storage = SqliteStorage("q", path)
    for number in range(50):
        put(storage, str(number))
    size = size_of_wal(path)
    assert size > storage.database.wal_pages() * FRAME + 32
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    storage.close()
    found = SqliteStorage("q", copy)
    assert found.pending_count() == 50
    put(found, "more")
    assert found.pending_count() == 51
    found.close()
    assert verify(str(copy)).problems == []


def test_no_number_comes_again(path):
    """What fences a claim is never given to another message, whichever went and whatever was closed."""
    seen = set()
    for round_ in range(3):
        storage, neighbour = SqliteStorage("q", path), SqliteStorage("neighbour", path)
        owner = storage.register(identify())
        for step in range(4):
            put(storage, f"{round_}.{step}.a", f"{round_}.{step}.b")
            claims = storage.claim(owner, 10, now=1, lease=10**15)
            seqs = {claim.seq for claim in claims}
            assert len(seqs) == 2
            assert not seqs & seen
            seen |= seqs
            if step == 0:
                storage.settle([Settlement(c.key, Outcome(Disposition.DONE, "complete")) for c in claims], 1)
            elif step == 1:
                storage.flush()
            elif step == 2:
                dead = Outcome(Disposition.DEAD, "dead", reason="-")
                storage.settle([Settlement(c.key, dead) for c in claims], 1)
                storage.delete_dead([c.id for c in claims])
            else:
                put(neighbour, "n")
                storage.settle([Settlement(c.key, Outcome(Disposition.DONE, "complete")) for c in claims], 1)
                neighbour.flush()
        assert storage.pending_count() == neighbour.pending_count() == 0
        storage.close()
        neighbour.close()
    assert verify(str(path)).problems == []
    assert queues_in(str(path)) == ["q"]
