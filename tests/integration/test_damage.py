"""A consumer whose file is damaged, vanishes, or is not what it should be."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from liteq import StorageError
from liteq.exceptions import StorageDamaged

from .consumer import PATIENCE, ROOT, get, started, wait_until

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def obey_permissions():
    """Have root obey the permissions of files, in a child and what it starts."""
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(folder, *arguments, **options):
    """Run Python in a folder; its exit code and all that it wrote."""
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False, cwd=folder, timeout=PATIENCE, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )  # fmt: skip
    return done.returncode, done.stdout


CALL = """
from app import add, huey
from liteq import StorageError
try:
    add(1, 2)
except StorageError as error:
    print(error)
"""


# What can't be written


@pytest.fixture
def refused(app, tmp_path):
    """Takes permissions away; a producer and a consumer then say what, and change nothing."""
    app.add(1, 2)
    app.huey.storage.close()
    changed = []

    def check(path, mode, says):
        path.chmod(mode)
        changed.append(path)
        before = (tmp_path / "queue.db").read_bytes()
        code, text = run(tmp_path, "-c", CALL, preexec_fn=obey_permissions)
        assert code == 0, text
        assert says in text
        assert str(tmp_path / "queue.db") in text
        code, text = run(tmp_path, "-m", "liteq", "consume", "app.huey", "-q", preexec_fn=obey_permissions)
        assert (code, len(text.splitlines())) == (3, 1), text
        assert says in text
        assert (tmp_path / "queue.db").read_bytes() == before

    yield check
    for path in changed:
        path.chmod(0o700)


@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_file_that_cannot_be_written(refused, tmp_path, mode):
    refused(tmp_path / "queue.db", mode, "permission")


def test_a_folder_that_cannot_be_written(refused, tmp_path):
    refused(tmp_path, 0o500, "permission")


def test_a_wal_that_cannot_be_written(app, refused, tmp_path):
    app.add(1, 2)
    wal = (tmp_path / "queue.db-wal").read_bytes()
    app.huey.storage.close()
    (tmp_path / "queue.db-wal").write_bytes(wal)  # as kill -9 leaves it
    refused(tmp_path / "queue.db-wal", 0o400, "permission")


# What vanishes


def replace(copy, path):
    Path(copy).replace(path)


VANISH = {
    "file": lambda folder: (folder / "queue.db").unlink(),
    "all files": lambda folder: [path.unlink() for path in folder.glob("queue.db*")],
    "folder": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "replaced": lambda folder: replace(shutil.copy(folder / "queue.db", folder / "new"), folder / "queue.db"),
}


@pytest.fixture
def in_a_folder(tmp_path, declare):
    """The application with its file in a folder of its own, which may vanish."""
    (tmp_path / "data").mkdir()
    app = declare(
        'huey = SqliteHuey(filename=HERE / "data" / "queue.db")\n\n@huey.task()\ndef add(a, b):\n    return a + b\n'
    )
    yield app, tmp_path / "data"
    app.huey.storage.close()


@pytest.mark.parametrize("what", VANISH)
def test_a_file_that_vanishes_ends_the_consumer(in_a_folder, launch, what):
    """It does not work on in a file that nobody finds."""
    app, folder = in_a_folder
    consumer = launch("-w", "2").wait_ready()
    assert get(app.add(1, 2)) == 3
    app.huey.storage.close()
    VANISH[what](folder)
    assert consumer.wait() == 3
    last = consumer.log.splitlines()[-1]
    assert "removed or replaced" in last
    assert str(folder / "queue.db") in last
    assert consumer.members() == []
    assert "Traceback" not in consumer.log


def test_after_it_a_consumer_works_on_the_file_that_is_there(in_a_folder, launch):
    app, folder = in_a_folder
    first = launch().wait_ready()
    VANISH["all files"](folder)
    result = app.add(1, 2)  # into a new file
    assert first.wait() == 3
    second = launch().wait_ready()
    assert get(result) == 3
    assert second.stop() == 0


def test_a_producer_uses_the_file_that_has_the_name(app, tmp_path):
    """A file that was removed takes nothing more, though it is open still."""
    app.add(1, 2)
    assert len(app.huey) == 1
    (tmp_path / "queue.db").rename(tmp_path / "old.db")
    (tmp_path / "queue.db-wal").rename(tmp_path / "old.db-wal")
    app.add(3, 4)
    app.add(5, 6)
    assert [task.args for task in app.huey.pending()] == [(3, 4), (5, 6)]
    code, text = run(tmp_path, "-m", "liteq", "verify", "queue.db")
    assert (code, "2 ready" in text) == (0, True), text


def test_a_folder_that_vanishes_under_a_producer(in_a_folder):
    app, folder = in_a_folder
    app.add(1, 2)
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="does not exist; create it"):
        app.add(3, 4)
    folder.mkdir()
    app.add(5, 6)
    assert [task.args for task in app.huey.pending()] == [(5, 6)]


def test_who_has_claimed_tasks_is_told(app, tmp_path):
    app.add(1, 2)
    task = app.huey.dequeue()
    for path in tmp_path.glob("queue.db*"):
        path.unlink()
    with pytest.raises(StorageDamaged, match="removed or replaced"):
        app.huey.execute(task)


# What is damaged


def destroy(folder):
    """Overwrite everything, in place, as a failing disk may."""
    for path in (folder / "queue.db", folder / "queue.db-wal"):
        if path.exists():
            with path.open("r+b") as file:
                file.write(b"\xff" * path.stat().st_size)


def test_a_file_that_is_damaged_under_a_consumer_ends_it(app, consume, tmp_path):
    consumer = consume("-w", "2")
    app.hold("a")
    started(app, "a")
    app.huey.storage.close()
    destroy(tmp_path)
    app.open_gate("a")
    assert consumer.wait() == 3
    last = consumer.log.splitlines()[-1]
    assert str(tmp_path / "queue.db") in last
    assert "damaged" in last or "not a SQLite" in last
    assert consumer.members() == []


def test_a_text_that_is_none_is_damage(app, launch, tmp_path):
    """SQLite, which has no checksums of values, finds nothing wrong with it."""
    app.add(1, 2)
    app.huey.storage.close()
    path = str(tmp_path / "queue.db")
    connection = apsw.Connection(path)
    connection.execute("UPDATE queue SET id = cast(x'cf00' AS text)")
    connection.close()
    with pytest.raises(StorageDamaged, match=f"{path}: it is damaged"):
        app.huey.dequeue()
    with pytest.raises(StorageDamaged, match=path), app.huey.storage.database.read() as reader:
        list(reader.execute("SELECT id FROM queue"))
    consumer = launch()
    assert consumer.wait() == 3
    assert f"{path}: it is damaged" in consumer.log.splitlines()[-1]


@pytest.mark.parametrize("size", [0, 100, 5_000, 12_288])
def test_a_file_that_was_cut_is_left_as_it_is(app, launch, tmp_path, size):
    for _ in range(20):
        app.echo("x" * 1000)
    wal = (tmp_path / "queue.db-wal").read_bytes()
    app.huey.storage.close()
    os.truncate(tmp_path / "queue.db", size)
    if not size:
        (tmp_path / "queue.db-wal").write_bytes(wal)  # what it was is in there, and nowhere else
    before = (tmp_path / "queue.db").read_bytes()
    consumer = launch("-q")
    assert consumer.wait() == 3
    (line,) = consumer.log.splitlines()
    assert str(tmp_path / "queue.db") in line
    assert "estore" in line or "not a SQLite" in line
    assert (tmp_path / "queue.db").read_bytes() == before
    if not size:
        assert (tmp_path / "queue.db-wal").read_bytes() == wal


def test_an_empty_file_is_a_new_queue(app, consume, tmp_path):
    (tmp_path / "queue.db").touch()
    consume()
    assert get(app.add(1, 2)) == 3


@pytest.mark.parametrize("what", ["folder", "pipe", "broken link"])
def test_what_is_no_file(app, launch, tmp_path, what):
    path = tmp_path / "queue.db"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "broken link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }[what]()
    consumer = launch("-q")
    assert consumer.wait() == 3
    (line,) = consumer.log.splitlines()
    assert str(path) in line
    assert not (tmp_path / "nowhere").exists()


# Links, and what others may put into a folder


def test_a_link_to_the_file(app, consume, tmp_path):
    """Also for tasks that run at most once, whose claims are synchronised with the disk."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file.db").touch()
    (tmp_path / "queue.db").symlink_to(tmp_path / "real" / "file.db")
    app.open_gate("a")
    consumer = consume()
    assert get(app.hold_once("a")) == app.pids("a")[0]
    assert {path.name for path in tmp_path.glob("queue.db*")} == {"queue.db"}
    assert "ERROR" not in consumer.log
    assert consumer.stop() == 0


@pytest.mark.parametrize("name", ["queue.db-bell", "queue.db-done"])
@pytest.mark.parametrize("what", ["link", "hard link", "large file", "folder", "pipe"])
def test_another_file_in_a_bell_s_place_is_left_alone(app, consume, tmp_path, name, what):
    """The queue works without the bell, if more slowly."""
    precious, bell = tmp_path / "precious", tmp_path / name
    precious.write_text("precious")
    {
        "link": lambda: bell.symlink_to(precious),
        "hard link": lambda: os.link(precious, bell),
        "large file": lambda: bell.write_text("precious"),
        "folder": bell.mkdir,
        "pipe": lambda: os.mkfifo(bell),
    }[what]()
    consume()
    assert get(app.add(1, 2)) == 3
    assert precious.read_text() == "precious"
    if what == "large file":
        assert bell.read_text() == "precious"


def test_a_bell_is_never_the_database_itself(app, tmp_path):
    """A hard link would have each ring overwrite the first byte of the file."""
    app.add(1, 2)
    app.huey.storage.close()
    (tmp_path / "queue.db-bell").unlink()
    os.link(tmp_path / "queue.db", tmp_path / "queue.db-bell")
    app.add(3, 4)
    assert len(app.huey) == 2
    assert run(tmp_path, "-m", "liteq", "verify", "queue.db")[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["queue.db", "queue.db-wal", "queue.db-journal"])
def test_a_stranger_s_file_in_a_folder_of_everybody_s(app, launch, tmp_path, name):
    app.add(1, 2)
    app.huey.storage.close()
    tmp_path.chmod(0o1777)
    (tmp_path / name).touch()
    os.chown(tmp_path / name, 65534, 65534)
    with pytest.raises(StorageError, match=rf"{name}: it belongs to another user \(uid 65534\)"):
        app.add(3, 4)
    consumer = launch("-q")
    assert consumer.wait() == 3
    assert "belongs to another user" in consumer.log
    tmp_path.chmod(0o700)
    os.chown(tmp_path / "queue.db", 0, 0)
    if name != "queue.db":
        (tmp_path / name).unlink()
    app.add(3, 4)
    assert len(app.huey) == 2


def test_many_links_are_made_and_removed_meanwhile(app, consume, tmp_path):
    """A race on the bells' names harms no other file."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    consumer = consume("-w", "2")
    results = []
    for number in range(60):
        for name in ("queue.db-bell", "queue.db-done"):
            (tmp_path / name).unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # the consumer made it again in between
                [os.symlink, os.link, lambda *_: None][number % 3](precious, tmp_path / name)
        results.append(app.add(number, 1))
        if number % 10 == 9:
            app.huey.storage.close()  # so that the bells are opened again
    assert [get(result) for result in results] == list(range(1, 61))
    assert precious.read_text() == "precious"
    wait_until(lambda: app.huey.running_count() == 0)
    assert consumer.stop() == 0
