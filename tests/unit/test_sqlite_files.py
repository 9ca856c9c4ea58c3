"""The file of a queue: when it is made and how, which files are refused, and that those stay as they were."""

import os
import stat
import threading
import time
from pathlib import Path

import apsw
import pytest

from liteq import ConfigurationError, MemoryHuey, SqliteHuey, StorageError
from liteq.exceptions import ForeignFile, StorageBusy, StorageFull
from liteq.storage.sqlite import SqliteStorage, schema
from liteq.storage.sqlite.schema import PAGE_SIZE

from .running import PATIENCE, Background, start_python


@pytest.fixture
def open_(filename):
    """Opens queues on a file, which are closed in the end."""
    opened = []

    def make(path=filename, **options):
        huey = SqliteHuey(**{"filename": path, "durability": "off", **options})
        huey.task(name="add")(add)
        opened.append(huey)
        return huey

    yield make
    for huey in opened:
        huey.storage.close()


def add(a, b=0):
    return a + b


def call(huey, *args):
    return huey.enqueue(huey.registry.string_to_task(f"{__name__}.add")(args))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def beside(path):
    """The names of the files in the folder of a file."""
    return sorted(entry.name for entry in path.parent.iterdir())


# New files


def test_a_queue_makes_no_file_before_it_is_used(open_, filename):
    huey = open_()
    huey.storage.describe()
    huey.storage.close()
    huey.task(name="more")(max)
    bool(huey)
    repr(huey)
    assert beside(filename) == []


@pytest.mark.parametrize(
    "use",
    [
        lambda huey: call(huey, 1),
        len,
        lambda huey: huey.get("k"),
        lambda huey: huey.put("k", 1),
        lambda huey: huey.dequeue(),
        lambda huey: huey.is_revoked("x"),
        lambda huey: huey.scheduled(),
    ],
)
def test_any_use_makes_it(open_, filename, use):
    use(open_())
    assert filename.exists()


def test_files_are_their_owners_alone(open_, filename):
    before = os.umask(0)
    try:
        huey = open_()
        result = call(huey, 1, 2)
        huey.storage.results_wakeup().ticket()
        huey.storage.work_source().close()
        huey.execute(huey.dequeue())
        assert result() == 3
        with huey.storage.database.read():  # so that the WAL is there
            names = beside(filename)
            assert set(names) == {"queue.db", *(f"queue.db-{end}" for end in ("bell", "done", "shm", "wal"))}
            for name in names:
                assert mode(filename.parent / name) == 0o600, name
    finally:
        os.umask(before)


def test_an_empty_file_becomes_a_queue_and_keeps_its_mode(open_, filename):
    filename.touch()
    filename.chmod(0o640)
    call(open_(), 1)
    assert mode(filename) == 0o640
    assert apsw.Connection(str(filename)).pragma("application_id") == schema.APPLICATION_ID


def test_the_marks_of_the_file(open_, filename):
    call(open_(), 1)
    connection = apsw.Connection(str(filename))
    assert connection.pragma("application_id") == schema.APPLICATION_ID == int.from_bytes(b"LTEQ", "big")
    assert connection.pragma("user_version") == schema.VERSION
    assert connection.pragma("journal_mode") == "wal"
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"queue", "priority", "schedule", "result", "revocation"} <= tables
    connection.close()


def test_what_was_stored_is_there_for_the_next_process(open_, filename):
    call(open_(), 1, 2)
    again = open_()
    assert [task.args for task in again.pending()] == [(1, 2)]
    assert again.execute(again.dequeue()) == 3


def test_closing_gives_the_wal_back(open_, filename):
    huey = open_()
    call(huey, 1)
    huey.storage.close()
    assert "queue.db-wal" not in beside(filename)
    assert len(huey) == 1  # the next use opens it again


def test_a_relative_name_is_of_the_folder_in_which_the_queue_was_made(open_, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    huey = open_("relative.db")
    monkeypatch.chdir(tmp_path / "b")
    call(huey, 1)
    assert (tmp_path / "a" / "relative.db").exists()
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize("name", ["with space.db", "ünï.db", "100%.db", "a?b#c.db", "a'b\".db", "-x.db"])
def test_any_name_of_a_file(open_, tmp_path, name):
    huey = open_(tmp_path / name)
    call(huey, 1)
    assert (tmp_path / name).exists()
    assert len(open_(str(tmp_path / name))) == 1


def test_a_link_to_a_file_is_that_file(open_, tmp_path):
    call(open_(tmp_path / "real.db"), 1)
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert len(open_(tmp_path / "link.db")) == 1


def test_the_default_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    huey = SqliteHuey()
    assert len(huey) == 0
    assert (tmp_path / "huey.db").exists()
    huey.storage.close()


# Files that can't be used

ADVICE = "another filename"


def foreign_sqlite(path):
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").get
    connection.close()


def foreign_wal(path):
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").get
    connection.close()


def marked_by_another(path):
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 0x12345678)
    connection.close()


def versioned_by_another(path):
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 7)
    connection.close()


def newer(path):
    huey = SqliteHuey(filename=path)
    assert len(huey) == 0
    huey.storage.close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", schema.VERSION + 1)
    connection.close()
    for extra in path.parent.glob("*-*"):
        extra.unlink()


FOREIGN = {
    "text": lambda path: path.write_text("no database\n" * 100),
    "short": lambda path: path.write_text("hello\n"),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "sqlite": foreign_sqlite,
    "wal": foreign_wal,
    "marked": marked_by_another,
    "versioned": versioned_by_another,
    "newer": newer,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(open_, filename, kind):
    FOREIGN[kind](filename)
    names, content, status = beside(filename), filename.read_bytes(), filename.stat()
    huey = open_()
    for use in (lambda: call(huey, 1), lambda: len(huey), huey.dequeue):
        with pytest.raises(ForeignFile, match=ADVICE) as caught:
            use()
        assert str(filename) in str(caught.value)
        assert isinstance(caught.value, ConfigurationError)
        assert isinstance(caught.value, StorageError)
    huey.storage.close()
    assert filename.read_bytes() == content
    assert filename.stat().st_mtime_ns == status.st_mtime_ns
    assert mode(filename) == stat.S_IMODE(status.st_mode)
    # To look into a file in WAL mode, SQLite needs these two; they are empty and its own program removes them.
    of_wal = {"queue.db-shm", "queue.db-wal"} if kind in {"wal", "newer"} else set()
    assert set(beside(filename)) - of_wal == set(names)


def test_a_foreign_file_that_is_in_use_is_left_as_it_was(open_, filename):
    foreign_wal(filename)
    theirs = apsw.Connection(str(filename))
    theirs.execute("INSERT INTO theirs VALUES (2)")
    names = beside(filename)
    content, wal = filename.read_bytes(), Path(f"{filename}-wal").read_bytes()
    huey = open_()
    with pytest.raises(ForeignFile):
        call(huey, 1)
    huey.storage.close()
    assert (filename.read_bytes(), Path(f"{filename}-wal").read_bytes()) == (content, wal)
    assert beside(filename) == names
    assert theirs.execute("SELECT count(*) FROM theirs").get == 2
    theirs.close()


def test_the_newer_schema_says_what_to_do(open_, filename):
    newer(filename)
    with pytest.raises(ForeignFile, match=rf"schema {schema.VERSION + 1}.*upgrade liteq"):
        call(open_(), 1)


def test_a_folder_in_the_place_of_the_file(open_, filename):
    filename.mkdir()
    with pytest.raises(StorageError, match="check that it is a file") as caught:
        call(open_(), 1)
    assert str(filename) in str(caught.value)
    assert list(filename.iterdir()) == []


def test_a_folder_that_is_missing(open_, tmp_path):
    with pytest.raises(StorageError, match="does not exist; create it") as caught:
        call(open_(tmp_path / "none" / "queue.db"), 1)
    assert str(tmp_path / "none") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(open_, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file"):
        call(open_(tmp_path / "file" / "queue.db"), 1)


def test_a_link_to_nothing(open_, filename, tmp_path):
    filename.symlink_to(tmp_path / "nowhere.db")
    with pytest.raises(StorageError, match="can't be opened"):
        call(open_(), 1)
    assert not (tmp_path / "nowhere.db").exists()


def test_a_device_is_no_file(open_):
    with pytest.raises(StorageError):
        call(open_("/dev/null"), 1)
    assert Path("/dev/null").is_char_device()
    assert not Path("/dev/null-bell").exists()


def test_a_damaged_file_says_so(open_, filename):
    huey = open_()
    for number in range(200):
        call(huey, number, "x" * 500)
    huey.storage.close()
    content = bytearray(filename.read_bytes())
    content[PAGE_SIZE:] = b"\xff" * (len(content) - PAGE_SIZE)
    filename.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged.*backup"):
        open_().pending()


def test_after_a_refusal_the_same_queue_works_once_the_file_is_right(open_, filename):
    filename.write_text("no database\n" * 100)
    huey = open_()
    with pytest.raises(ForeignFile):
        call(huey, 1)
    filename.unlink()
    call(huey, 1)
    assert len(huey) == 1


def test_a_file_that_was_removed_under_an_idle_queue(open_, filename):
    """What is stored after that must not go into a file that nobody can find."""
    huey = open_()
    call(huey, 1)
    huey.storage.close()
    for name in beside(filename):
        (filename.parent / name).unlink()
    call(huey, 2)
    assert [task.args for task in open_().pending()] == [(2,)]


# Options


@pytest.mark.parametrize(
    ("options", "durability", "synchronous"),
    [
        ({}, "full", 1),
        ({"durability": "full"}, "full", 1),
        ({"durability": "normal"}, "normal", 1),
        ({"durability": "off"}, "off", 0),
        ({"fsync": True}, "full", 1),
        ({"fsync": False}, "normal", 1),
        ({"fsync": True, "durability": "full"}, "full", 1),
        ({"fsync": False, "durability": "normal"}, "normal", 1),
    ],
)
def test_durability(filename, options, durability, synchronous):
    """The sync of "full" is not SQLite's: see the tests of the log."""
    storage = SqliteStorage("q", filename, **options)
    assert storage.database.settings.durability == durability
    assert durability in storage.describe()
    with storage.database.read() as connection:
        assert connection.pragma("synchronous") == synchronous
    with storage.database.write() as transaction:
        assert transaction.connection.pragma("synchronous") == synchronous
    storage.close()


@pytest.mark.parametrize("options", [{"fsync": True}, {"fsync": False}])
def test_contradictions_are_refused(filename, options):
    with pytest.raises(ConfigurationError, match="contradicts"):
        SqliteStorage("q", filename, durability="off", **options)
    other = "normal" if options["fsync"] else "full"
    with pytest.raises(ConfigurationError, match="contradicts"):
        SqliteStorage("q", filename, durability=other, **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"durability": "extra"}, "durability"),
        ({"durability": True}, "durability"),
        ({"durability": ""}, "durability"),
        ({"journal_mode": "delete"}, "journal_mode"),
        ({"journal_mode": None}, "journal_mode"),
        ({"filename": ""}, "filename"),
        ({"filename": ":memory:"}, "MemoryHuey"),
        ({"filename": "file:x.db?mode=ro"}, "filename"),
        ({"filename": None}, "filename"),
        ({"filename": 7}, "filename"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"cache_mb": -1}, "cache_mb"),
        ({"cache_mb": "8"}, "cache_mb"),
        ({"colour": 1}, "colour"),
        ({"colour": 1, "shape": 2}, "colour, shape"),
    ],
)
def test_options_that_cannot_work_are_refused(filename, options, told):
    with pytest.raises(ConfigurationError, match=told):
        SqliteStorage("q", **{"filename": filename, **options})
    assert beside(filename) == []


def test_the_options_of_huey_are_accepted(filename):
    huey = SqliteHuey(
        "q", filename=str(filename), cache_mb=8, fsync=None, journal_mode="wal", timeout=5, strict_fifo=False
    )
    assert len(huey) == 0
    huey.storage.close()


def test_the_cache_and_the_other_settings_of_a_connection(filename):
    storage = SqliteStorage("q", filename, cache_mb=3)
    with storage.database.read() as connection:
        assert connection.pragma("cache_size") == -3 * 1024
        assert connection.pragma("mmap_size") == 0
        assert connection.pragma("journal_size_limit") > 0
        assert connection.pragma("foreign_keys") in {0, 1}
    storage.close()


# A file that is busy


def test_a_lock_that_is_held_for_longer_than_the_timeout(open_, filename):
    huey = open_(timeout=0.05)
    call(huey, 1)
    other = apsw.Connection(str(filename))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageBusy, match="timeout") as caught:
        call(huey, 2)
    assert str(filename) in str(caught.value)
    assert len(huey) == 1  # readers do not wait
    other.execute("ROLLBACK")
    call(huey, 2)
    assert len(huey) == 2
    other.close()


def test_a_lock_that_is_given_back_in_time_is_waited_for(open_, filename):
    huey = open_(timeout=PATIENCE)
    call(huey, 1)
    other = apsw.Connection(str(filename))
    other.execute("BEGIN IMMEDIATE")
    waiting = Background(call, huey, 2)
    assert waiting.is_waiting()
    other.execute("COMMIT")
    waiting.result()
    assert len(huey) == 2
    other.close()


# A full disk


@pytest.fixture
def full(open_):
    """A queue whose file must not grow, and what lets it grow again."""
    huey = open_()
    call(huey, 1)
    with huey.storage.database.read() as connection:
        pages = connection.pragma("page_count")

    def limit(number):
        with huey.storage.database.write() as transaction:
            transaction.connection.pragma("max_page_count", number)

    limit(pages + 2)
    return huey, lambda: limit(1_000_000)


def test_a_full_disk_stores_nothing_of_the_call(full):
    huey, make_room = full
    large = "x" * 100_000
    for use in (
        lambda: call(huey, large),
        lambda: huey.put("k", large),
        lambda: huey.enqueue_many(
            [huey.registry.string_to_task(f"{__name__}.add")((large,)) for _ in range(3)]
        ),
    ):
        with pytest.raises(StorageFull, match="disk is full; nothing was stored"):
            use()
    assert [task.args for task in huey.pending()] == [(1,)]
    assert huey.result_count() == 0
    make_room()
    call(huey, large)
    assert len(huey) == 2


def test_a_full_disk_keeps_the_task_whose_outcome_it_cannot_store(full):
    huey, make_room = full
    body = huey.task(name="large")(lambda: "x" * 100_000)
    result = body()
    huey.execute(huey.dequeue())
    task = huey.dequeue()
    with pytest.raises(StorageFull):
        huey.execute(task)
    assert huey.running_count() == 1
    make_room()
    huey.execute(task)
    assert result() == "x" * 100_000


def test_a_full_disk_undoes_a_whole_batch(full):
    huey, _ = full

    def work():
        with huey.storage.batch():
            call(huey, 2)
            call(huey, "x" * 100_000)

    with pytest.raises(StorageFull):
        work()
    assert [task.args for task in huey.pending()] == [(1,)]


# Several at once


def test_several_threads_call_tasks_at_once(open_):
    huey = open_()
    barrier = threading.Barrier(8)

    def work(number):
        barrier.wait(PATIENCE)
        return [call(huey, number, i).id for i in range(50)]

    calls = [Background(work, number) for number in range(8)]
    ids = [id for one in calls for id in one.result()]
    assert sorted(task.id for task in huey.pending()) == sorted(ids)
    assert len(set(ids)) == 400


def test_several_threads_make_the_file_at_once(open_, filename):
    queues = [open_() for _ in range(8)]
    barrier = threading.Barrier(8)

    def work(huey):
        barrier.wait(PATIENCE)
        call(huey, 1)

    for one in [Background(work, huey) for huey in queues]:
        one.result()
    assert len(queues[0]) == 8


def test_several_threads_run_tasks_at_once(open_):
    huey = open_()
    results = [call(huey, number, 1) for number in range(60)]
    ran = []

    def work():
        while (task := huey.dequeue()) is not None:
            ran.append(huey.execute(task))

    for one in [Background(work) for _ in range(4)]:
        one.result()
    assert sorted(ran) == list(range(1, 61))
    assert [result() for result in results] == list(range(1, 61))
    assert huey.running_count() == 0


PROCESS = """
import sys
from liteq import SqliteHuey
huey = SqliteHuey(filename=sys.argv[1], durability="off")
@huey.task()
def add(a, b): return a + b
print("ready", flush=True)
sys.stdin.read(1)
for number in range(20):
    add(number, 1)
print(len(huey) >= 20)
"""


def test_several_processes_make_the_file_at_once(open_, filename):
    processes = [start_python("-c", PROCESS, filename, stdin=-1) for _ in range(6)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:  # as close together as it gets
            process.stdin.write("x")
            process.stdin.flush()
        printed = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert printed == ["True\n"] * 6
    assert [process.returncode for process in processes] == [0] * 6
    assert open_().pending_count() == 120


# The bells


@pytest.mark.parametrize("name", ["queue.db-bell", "queue.db-done"])
def test_a_bell_that_is_a_link_is_not_followed(open_, filename, name):
    target = filename.parent / "precious"
    target.write_text("precious")
    (filename.parent / name).symlink_to(target)
    huey = open_()
    result = call(huey, 1, 2)
    huey.execute(huey.dequeue())
    assert result.get(blocking=True, timeout=PATIENCE) == 3
    assert huey.storage.work_source() is None or name != "queue.db-bell"
    assert target.read_text() == "precious"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_bell_that_cannot_be_rung_holds_up_nobody(open_, filename, kind):
    bell = filename.parent / "queue.db-bell"
    bell.mkdir() if kind == "folder" else os.mkfifo(bell)
    huey = open_()
    one = Background(call, huey, 1)
    try:
        deadline = time.monotonic() + 2
        while one.is_waiting() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not one.is_waiting(), "ringing the bell blocks"
    finally:
        if kind == "pipe":
            os.close(os.open(bell, os.O_RDONLY | os.O_NONBLOCK))  # lets a blocked writer go
    one.result()
    assert len(huey) == 1


def test_a_bell_that_was_removed_is_made_again_by_the_next_process(open_, filename):
    huey = open_()
    call(huey, 1)
    (filename.parent / "queue.db-bell").unlink()
    call(huey, 2)
    call(open_(), 3)
    assert len(huey) == 3
    assert (filename.parent / "queue.db-bell").exists()


@pytest.mark.parametrize("secure_delete", [False, True])
def test_what_is_deleted_is_overwritten_if_that_is_wanted(open_, filename, secure_delete):
    huey = open_(secure_delete=secure_delete)
    for number in range(300):
        call(huey, f"secret-{number}", "secret" * 1_000)
        huey.put(f"key-{number}", f"secret-{number}")
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
        huey.get(task.id)
    for number in range(300):
        huey.get(f"key-{number}")
    huey.storage.close()
    assert not filename.with_name("queue.db-wal").exists()
    assert (b"secret" in filename.read_bytes()) is not secure_delete


def test_memory_has_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    huey = MemoryHuey()
    huey.put("k", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_does_not_wait_for_a_long_reader(open_, filename):
    """A backup, say: it would keep all writers waiting as well."""
    huey = open_()
    call(huey, 1)
    reader = apsw.Connection(str(filename))
    reader.execute("BEGIN; SELECT count(*) FROM queue").get
    for number in range(20):
        call(huey, number)
    before = time.monotonic()
    huey.storage.maintain(full=True)
    assert time.monotonic() - before < PATIENCE / 2
    with huey.storage.database.read() as connection:
        assert len(huey) == 21
        assert connection.pragma("wal_checkpoint") is not None
    reader.close()
    huey.storage.maintain(full=True)
    assert Path(f"{filename}-wal").stat().st_size == 0


def test_the_file_itself_says_what_it_is(open_, filename):
    """Even if the WAL is lost."""
    huey = open_()
    call(huey, 1)
    assert filename.read_bytes()[68:72] == b"LTEQ"
    assert b"CREATE TABLE queue" in filename.read_bytes()
