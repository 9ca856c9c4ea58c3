"""`liteq backup`, `restore` and `verify` beside a consumer at work."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from liteq import SqliteHuey, TaskException

from .consumer import PATIENCE, ROOT, get, kill, started, wait_until, wait_until_settled


@pytest.fixture
def command(tmp_path):
    """Runs a command in the folder of the application; its exit code, and all that it wrote."""

    def run(*arguments, **options):
        done = subprocess.run(
            [sys.executable, "-m", "liteq", *map(str, arguments)],
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


class Load(threading.Thread):
    """Calls a task without pause."""

    def __init__(self, app):
        super().__init__()
        self.app = app
        self.ids = []
        self.going = True
        self.most = 300

    def run(self):
        number = 0
        while self.going:
            number += 1
            self.ids.append(self.app.work(number).id)
            while self.going and self.app.huey.pending_count() > self.most:
                time.sleep(0.002)

    def stop(self):
        self.going = False
        self.join()


@pytest.fixture
def load(app):
    load = Load(app)
    load.start()
    yield load
    load.stop()


def names(folder):
    return {path.name for path in folder.iterdir()}


def ids_in(path):
    """The tasks that a backup holds, or the results of."""
    huey = SqliteHuey(filename=path)
    with huey.storage.database.read() as connection:
        ids = {
            id
            for (id,) in connection.execute(
                "SELECT id FROM queue WHERE queue <> '' UNION SELECT key FROM result"
            )
        }
    huey.storage.close()
    return ids


# Backups


def test_backups_under_load(app, consume, command, load, tmp_path):
    """Each holds every task whose call had returned when it began, or its result; nobody is held up."""
    consumer = consume("-w", "2")
    for number in range(5):
        before = list(load.ids)
        assert command("backup", "queue.db", f"copy{number}.db") == (
            0,
            f"copy{number}.db: written and checked\n",
        )
        assert stat.S_IMODE((tmp_path / f"copy{number}.db").stat().st_mode) == 0o600
        assert command("verify", f"copy{number}.db")[0] == 0
        assert set(before) <= ids_in(tmp_path / f"copy{number}.db")
    assert command("verify", "queue.db")[0] == 0
    load.stop()
    wait_until_settled(app)
    assert consumer.stop() == 0
    assert not [name for name in names(tmp_path) if "partial" in name]
    assert "ERROR" not in consumer.log


def test_a_queue_is_named_by_its_application_too(app, command):
    app.add(1, 2)
    assert command("verify", "app.huey")[0] == 0
    code, text = command("backup", "app.huey", "copy.db")
    assert code == 0, text
    assert "1 ready" in command("verify", "copy.db")[1]


@pytest.mark.parametrize("argument", ["nope.huey", "app.nothing", "app"])
def test_neither_a_file_nor_a_queue(app, command, argument):
    code, text = command("verify", argument)
    assert (code, len(text.splitlines())) == (2, 1)


def test_a_backup_that_exists_is_left_as_it_is(app, command, tmp_path):
    app.add(1, 2)
    (tmp_path / "copy.db").write_text("precious")
    code, text = command("backup", "queue.db", "copy.db")
    assert (code, "exists already" in text) == (1, True)
    assert (tmp_path / "copy.db").read_text() == "precious"


@pytest.mark.parametrize("destination", ["no/copy.db", ".", "queue.db"])
def test_where_no_backup_can_be_made(app, command, destination, tmp_path):
    app.add(1, 2)
    before = names(tmp_path)
    code, text = command("backup", "queue.db", destination)
    assert (code, destination in text, "Traceback" in text) == (1, True, False)
    assert names(tmp_path) == before


def test_a_wal_in_the_way(app, command, tmp_path):
    """SQLite would take it for the copy's own, and read other pages out of it."""
    app.add(1, 2)
    (tmp_path / "copy.db-wal").write_bytes(b"x" * 5000)
    code, text = command("backup", "queue.db", "copy.db")
    assert (code, "copy.db-wal" in text) == (1, True)
    assert not (tmp_path / "copy.db").exists()


def test_no_room_for_a_backup(app, command, tmp_path):
    for number in range(20):
        app.echo(os.urandom(50_000))
    limit = 200_000
    code, text = command(
        "backup", "queue.db", "copy.db",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert (code, "Traceback" in text) == (1, False)
    assert "copy.db: the disk is full" in text
    assert not [name for name in names(tmp_path) if "copy" in name]


def test_a_damaged_file_makes_no_backup(app, command, tmp_path):
    for number in range(200):
        app.echo("x" * 500)
    app.huey.storage.close()
    content = bytearray((tmp_path / "queue.db").read_bytes())
    content[20 * 4096 : 24 * 4096] = b"\xff" * (4 * 4096)
    (tmp_path / "queue.db").write_bytes(content)
    assert command("verify", "queue.db")[0] == 1
    code, text = command("backup", "queue.db", "copy.db")
    assert (code, "not whole" in text or "damaged" in text) == (1, True)
    assert not [name for name in names(tmp_path) if "copy" in name]
    assert (tmp_path / "queue.db").read_bytes() == content


def test_a_backup_that_is_killed_is_not_there(app, tmp_path):
    for number in range(30):
        app.echo(os.urandom(1_000_000))
    for pause in (0.1, 0.15, 0.2, 0.25, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-m", "liteq", "backup", "queue.db", "copy.db"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        time.sleep(pause)
        process.kill()
        if process.wait() != 0:
            assert not (tmp_path / "copy.db").exists() or ids_in(tmp_path / "copy.db")
        for path in tmp_path.glob("copy.db*"):
            path.unlink()


# Restores


def test_a_consumer_at_work_is_in_the_way(app, consume, command, tmp_path):
    consumer = consume()
    assert command("backup", "queue.db", "copy.db")[0] == 0
    assert get(app.add(1, 2)) == 3
    before = names(tmp_path)
    code, text = command("restore", "queue.db", "copy.db")
    assert (code, "a consumer works on it" in text) == (1, True)
    assert names(tmp_path) == before
    assert get(app.add(3, 4)) == 7
    assert consumer.stop() == 0
    assert command("restore", "queue.db", "copy.db")[0] == 0


def test_an_orphaned_dispatcher_is_in_the_way_too(app, consume, command):
    consumer = consume("-t", "60")
    app.hold("a")
    started(app, "a")
    assert command("backup", "queue.db", "copy.db")[0] == 0
    dispatcher = consumer.dispatcher
    kill(consumer.pid)
    code, text = command("restore", "queue.db", "copy.db")
    assert (code, f"pid {dispatcher}" in text) == (1, True)
    app.open_gate("a")
    consumer.wait_all_dead()
    assert command("restore", "queue.db", "copy.db")[0] == 0


def test_claims_in_the_backup_are_recovered_by_the_next_consumer(app, consume, command):
    first = consume("-w", "2")
    again, once = app.hold("again"), app.hold_once("once")
    started(app, "again")
    started(app, "once")
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.open_gate("again")
    app.open_gate("once")
    wait_until_settled(app)
    assert first.stop() == 0
    app.huey.storage.close()
    assert command("restore", "queue.db", "copy.db")[0] == 0
    consume("-w", "2")
    assert get(again) in app.pids("again")
    with pytest.raises(TaskException, match="at most once"):
        get(once)
    assert app.notes().count("once") == 1
    assert app.notes().count("again") == 2
    wait_until(lambda: len(app.huey.dead()) == 1)


def test_a_producer_goes_on_while_a_backup_is_put_in_place(app, command, load, consume):
    load.most = 1_000_000  # nobody runs them yet
    assert command("backup", "queue.db", "copy.db")[0] == 0
    code, text = command("restore", "queue.db", "copy.db")
    assert code == 0, text
    after = len(load.ids) + 1
    wait_until(lambda: len(load.ids) > after + 20, "more calls")
    load.stop()
    results = [app.huey.result(id, preserve=True) for id in load.ids[after:]]
    assert results == [None] * len(results)
    consume("-w", "2")
    wait_until_settled(app)
    assert None not in [app.huey.result(id) for id in load.ids[after:]]


def test_numbers_that_were_given_out_do_not_come_again(app, command):
    """A claim is known by the number of its message."""
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.add.map([(1, 2)] * 10)
    assert command("restore", "queue.db", "copy.db")[0] == 0
    app.add(5, 6)
    with app.huey.storage.database.read() as connection:
        assert [seq for (seq,) in connection.execute("SELECT seq FROM priority")] == [1, 12]


def test_what_was_there_is_kept(app, command, tmp_path):
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.add(3, 4)
    code, text = command("restore", "queue.db", "copy.db")
    kept = tmp_path / text.rpartition(" ")[2].strip()
    assert kept.name.startswith("queue.db.before-restore-")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "2 ready" in command("verify", kept)[1]
    assert "1 ready" in command("verify", "queue.db")[1]
    assert command("restore", "queue.db", kept)[0] == 0
    assert "2 ready" in command("verify", "queue.db")[1]


def test_a_file_that_is_gone(app, command, tmp_path):
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.huey.storage.close()
    (tmp_path / "queue.db").unlink()
    assert command("restore", "queue.db", "copy.db") == (0, "queue.db: restored from copy.db\n")
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600
    assert len(app.huey) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(os.urandom(20_000)),
        lambda path: os.truncate(path, 5_000),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000),
    ],
)
def test_a_damaged_file_is_replaced_and_kept(app, command, tmp_path, damage):
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.huey.storage.close()
    damage(tmp_path / "queue.db")
    damaged = (tmp_path / "queue.db").read_bytes()
    code, text = command("restore", "queue.db", "copy.db")
    assert code == 0, text
    assert (tmp_path / text.rpartition(" ")[2].strip()).read_bytes() == damaged
    assert command("verify", "queue.db")[0] == 0
    assert [task.args for task in app.huey.pending()] == [(1, 2)]


def test_a_damaged_file_that_is_in_use_is_left_alone(app, command, tmp_path):
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    holder = subprocess.Popen(
        [sys.executable, "-c", "import app, sys; len(app.huey); print(1, flush=True); sys.stdin.read()"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        holder.stdout.readline()
        for name in ("queue.db", "queue.db-wal"):
            with (tmp_path / name).open("r+b") as file:
                file.write(b"\xff" * (tmp_path / name).stat().st_size)
        damaged = (tmp_path / "queue.db").read_bytes()
        code, text = command("restore", "queue.db", "copy.db")
        assert (code, "has it open" in text) == (1, True)
        assert (tmp_path / "queue.db").read_bytes() == damaged
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("kind", ["text", "missing", "itself", "damaged"])
def test_what_is_no_backup(app, command, tmp_path, kind):
    app.add(1, 2)
    app.huey.storage.close()
    backup = tmp_path / ("queue.db" if kind == "itself" else "copy.db")
    if kind == "text":
        backup.write_text("Dear diary\n" * 500)
    elif kind == "damaged":
        backup.write_bytes((tmp_path / "queue.db").read_bytes()[:8192] + b"\xff" * 30_000)
    before = (tmp_path / "queue.db").read_bytes()
    code, text = command("restore", "queue.db", backup.name)
    assert (code, backup.name in text, "Traceback" in text) == (1, True, False)
    assert (tmp_path / "queue.db").read_bytes() == before
    assert not [name for name in names(tmp_path) if "partial" in name or "before" in name]


def test_a_database_of_another_application_is_not_replaced(app, command, tmp_path):
    app.add(1, 2)
    assert command("backup", "queue.db", "copy.db")[0] == 0
    make = "import sqlite3; sqlite3.connect('theirs.db').execute('CREATE TABLE t (x)')"
    subprocess.run([sys.executable, "-c", make], check=True, cwd=tmp_path)
    before = (tmp_path / "theirs.db").read_bytes()
    code, text = command("restore", "theirs.db", "copy.db")
    assert (code, "another application" in text) == (1, True)
    assert (tmp_path / "theirs.db").read_bytes() == before


def test_a_restore_that_is_killed_leaves_the_old_or_the_new(app, command, tmp_path):
    for number in range(10):
        app.echo(os.urandom(500_000))
    assert command("backup", "queue.db", "copy.db")[0] == 0
    app.echo(1)
    for pause in (0.1, 0.15, 0.2, 0.25, 0.3, 0.35):
        process = subprocess.Popen(
            [sys.executable, "-m", "liteq", "restore", "queue.db", "copy.db"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        code, text = command("verify", "queue.db")
        assert code == 0, text
        assert len(app.huey) in {10, 11}
