"""Other users of the machine: what they may read and ring, and what they can't slip in, however quick they are."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from liteq import SqliteHuey, StorageError
from liteq.storage.sqlite.copies import backup

from .consumer import PATIENCE, ROOT, get, wait_until

NOBODY = 65534

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user as well")


def run(folder, *arguments, umask=-1):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=False, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE, umask=umask,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout


def modes(folder):
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


# Modes

USE = """
from liteq import SqliteHuey

huey = SqliteHuey(filename="queue.db")
huey.task(name="one")(lambda: 1)()
huey.storage.results_wakeup().ticket()
huey.storage.work_source().close()
huey.put("key", 1)
with huey.storage.database.read():
    import os
    open("names", "w").write(" ".join(sorted(os.listdir())))
"""


@pytest.mark.parametrize("umask", [0, 0o077, 0o027])
def test_every_file_is_its_owner_s_alone(tmp_path, umask):
    (tmp_path / "use.py").write_text(USE)

    def do(*arguments):
        code, said = run(tmp_path, *arguments, umask=umask)
        assert code == 0, said

    do("use.py")
    do("-m", "liteq", "backup", "queue.db", "copy.db")
    do("-m", "liteq", "restore", "queue.db", "copy.db")  # into a file that is there
    do("-m", "liteq", "restore", "new.db", "copy.db")
    (tmp_path / "queue.db").write_bytes(b"damaged")
    do("-m", "liteq", "restore", "queue.db", "copy.db")  # in the place of one
    do("use.py")
    assert (tmp_path / "names").read_text().split() == sorted(
        [
            "copy.db",
            "names",
            "new.db",
            "queue.db",
            "queue.db-bell",
            "queue.db-done",
            "queue.db-shm",
            "queue.db-wal",
        ]
        + ["queue.db.before-restore-1", "queue.db.before-restore-2", "use.py"]
    )
    found = modes(tmp_path)
    assert {name: mode for name, mode in found.items() if "db" in name and mode != 0o600} == {}


def test_a_file_that_is_shared_is_shared_with_its_bells(tmp_path):
    """As SQLite does with the files that it makes itself."""
    (tmp_path / "queue.db").touch()
    (tmp_path / "queue.db").chmod(0o660)
    (tmp_path / "use.py").write_text(USE)
    assert run(tmp_path, "use.py", umask=0o077)[0] == 0
    assert modes(tmp_path)["queue.db-bell"] == modes(tmp_path)["queue.db-done"] == 0o660


@only_root
def test_what_root_makes_beside_another_s_file_is_that_one_s(tmp_path):
    """A command that root runs once must not leave the user's processes without a bell."""
    (tmp_path / "queue.db").touch()
    os.chown(tmp_path / "queue.db", NOBODY, NOBODY)
    (tmp_path / "use.py").write_text(USE)
    assert run(tmp_path, "use.py")[0] == 0
    assert run(tmp_path, "-m", "liteq", "backup", "queue.db", "copy.db")[0] == 0
    (tmp_path / "queue.db").write_bytes(b"damaged")
    assert run(tmp_path, "-m", "liteq", "restore", "queue.db", "copy.db")[0] == 0
    owners = {path.name: path.stat().st_uid for path in tmp_path.glob("queue.db*")}
    assert owners == dict.fromkeys(owners, NOBODY)
    assert owners.keys() >= {"queue.db", "queue.db-bell", "queue.db-done", "queue.db.before-restore-1"}


# Folders of everybody's


@pytest.fixture
def common():
    """A folder like /tmp."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def stranger(function, folder):
    """Another user, who does something in a folder again and again, as quickly as can be."""
    pid = os.fork()
    if not pid:
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.umask(0)
            while True:
                with contextlib.suppress(OSError):
                    function()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def hostile(tmp_path):
    """The bytes of a queue's file and of its WAL, in which a task waits that should not run."""
    huey = SqliteHuey(filename=tmp_path / "hostile.db")
    huey.task(name="evil")(lambda: 1)()
    whole = (tmp_path / "hostile.db").read_bytes(), (tmp_path / "hostile.db-wal").read_bytes()
    huey.storage.close()
    return (tmp_path / "hostile.db").read_bytes(), whole[1]


@only_root
@pytest.mark.parametrize("kind", ["file", "wal", "link"])
def test_a_stranger_s_file_is_not_taken_for_ours_however_quick_he_is(common, tmp_path, hostile, kind):
    database, wal = hostile
    (tmp_path / "evil.db").write_bytes(database)
    (tmp_path / "evil.db").chmod(0o666)
    os.chown(tmp_path / "evil.db", NOBODY, NOBODY)
    name = "queue.db-wal" if kind == "wal" else "queue.db"
    target = str(tmp_path / "evil.db")

    def plant():
        try:
            if kind == "link":
                Path(name).symlink_to(target)
            else:
                fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                os.write(fd, wal if kind == "wal" else database)
                os.close(fd)
        finally:
            Path(name).unlink()

    outcomes = {"refused": 0, "used": 0}
    with stranger(plant, common):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (outcomes["used"] < 40 or outcomes["refused"] < 5):
            huey = SqliteHuey(filename=common / "queue.db", durability="off")
            try:
                assert not huey.storage.pending()
                outcomes["used"] += 1
            except StorageError:
                outcomes["refused"] += 1
            huey.storage.close()
            for path in common.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
    assert all(outcomes.values()), outcomes
    assert len((tmp_path / "evil.db").read_bytes()) == len(database)


@only_root
def test_a_link_of_a_stranger_s_is_not_followed(common, tmp_path, hostile):
    (tmp_path / "evil.db").write_bytes(hostile[0])
    (common / "queue.db").symlink_to(tmp_path / "evil.db")
    os.lchown(common / "queue.db", NOBODY, NOBODY)
    with pytest.raises(StorageError, match=r"queue\.db: it belongs to another user \(uid 65534\)"):
        len(SqliteHuey(filename=common / "queue.db"))


# Copies


@only_root
@pytest.mark.parametrize("way", ["backup", "restore"])
def test_a_copy_in_a_folder_of_everybody_s_holds_what_was_copied(common, tmp_path, hostile, way):
    """SQLite takes a file for a WAL by its name alone: one beside a copy would become a part of it."""
    huey = SqliteHuey(filename=tmp_path / "queue.db")
    task = huey.task(name="good")(lambda: 1)
    task()
    backup(str(tmp_path / "queue.db"), str(tmp_path / "source.db"))
    precious = tmp_path / "precious"
    precious.write_text("precious")

    def plant():
        for name in map(str, Path().iterdir()):
            if "partial" in name and not name.endswith(("-wal", "-journal", "-shm")):
                for beside in (f"{name}-wal", f"{name}/copy-wal"):
                    with contextlib.suppress(OSError):
                        fd = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                        os.write(fd, hostile[1])
                        os.close(fd)
                for beside in (f"{name}-journal", f"{name}-shm", f"{name}/copy-journal"):
                    with contextlib.suppress(OSError):
                        Path(beside).symlink_to(precious)

    with stranger(plant, common):
        for number in range(40):
            copy = common / f"copy-{number}.db"
            if way == "backup":
                backup(str(tmp_path / "queue.db"), str(copy))
            else:
                code, said = (
                    run(tmp_path, "-m", "liteq", "restore", copy, "source.db") if number < 4 else (0, "")
                )
                assert code == 0, said
                if number >= 4:
                    break
            found = SqliteHuey(filename=copy)
            found.task(name="good")(lambda: 1)
            assert [type(one).__name__ for one in found.pending()] == ["good"]
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
            found.storage.close()
    huey.storage.close()
    assert precious.read_text() == "precious"
    assert not [path.name for path in common.iterdir() if path.is_dir()]


@only_root
def test_the_destination_that_a_stranger_takes_is_left_alone(common, tmp_path):
    huey = SqliteHuey(filename=tmp_path / "queue.db")
    huey.put("key", 1)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    target = str(precious)

    def plant():
        Path("copy.db").symlink_to(target)
        Path("copy.db").unlink()

    made = refused = 0
    with stranger(plant, common):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (made < 10 or refused < 10):
            try:
                backup(str(tmp_path / "queue.db"), str(common / "copy.db"))
            except StorageError:
                refused += 1
            else:
                made += 1
                assert not (common / "copy.db").is_symlink()
                (common / "copy.db").unlink()
    huey.storage.close()
    assert made
    assert refused
    assert precious.read_text() == "precious"
    assert list(common.iterdir()) in ([], [common / "copy.db"])


@only_root
def test_a_backup_of_a_stranger_s_is_not_restored(common, tmp_path, hostile):
    (common / "copy.db").write_bytes(hostile[0])
    os.chown(common / "copy.db", NOBODY, NOBODY)
    for arguments in (
        ("restore", tmp_path / "queue.db", common / "copy.db"),
        ("backup", common / "copy.db", "x.db"),
    ):
        code, said = run(tmp_path, "-m", "liteq", *arguments)
        assert (code, "copy.db: it belongs to another user (uid 65534)" in said) == (1, True), said
    assert not (tmp_path / "queue.db").exists()


# In use


@only_root
def test_who_may_not_read_the_file_may_not_read_a_task(app, consume, tmp_path):
    tmp_path.chmod(0o755)
    consume()
    assert get(app.echo("secret")) == "secret"
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        opened = []
        try:
            os.chdir(tmp_path)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            for path in Path().glob("queue.db*"):
                with contextlib.suppress(PermissionError):
                    os.close(os.open(path, os.O_RDONLY))
                    opened.append(path.name)
        finally:
            os.write(write, repr(opened).encode())
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 1000) == b"[]"
    os.close(read)
    os.close(write)
    wait_until(lambda: len(list(tmp_path.glob("queue.db*"))) >= 4)
