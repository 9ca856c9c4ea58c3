"""The commands on queues in folders: what they show, what they find, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liteq import FileHuey

from .consumer import PATIENCE, ROOT, get, write_app
from .test_events import listen

__all__ = ["listen"]

Command = Callable[..., tuple[int, str]]
WAYS = ["app.huey", "queues", "queues/huey", "./queues/huey/"]


@pytest.fixture
def app(tmp_path):
    module = write_app(tmp_path, in_folder=True)
    yield module
    module.huey.storage.close()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a command in the folder of the application; its exit code, and all that it wrote."""

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "liteq", *arguments],
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("way", WAYS)
def test_status(app, command, consume, way):
    app.add(1, 2)
    app.add.schedule((1, 2), delay=1000)
    code, text = command("status", way)
    assert (code, "queue 'huey' in" in text, "ready 1  scheduled 1  running 0" in text) == (3, True, True)
    consumer = consume("-w", "2")
    code, text = command("status", way)
    assert (code, f"(pid {consumer.pid}) runs since" in text) == (0, True)


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_whole(app, command, consume, way):
    result = app.add(1, 2)
    app.add.schedule((1, 2), delay=1000)
    consume()
    assert get(result) == 3
    app.huey.put("key", 1)
    code, text = command("verify", way)
    assert (code, text.count("\n")) == (0, 1), text
    assert text.endswith("queues/huey: whole; tasks: 1 scheduled; results: 1\n")


def test_a_folder_that_is_not(app, command, tmp_path):
    folder = tmp_path / "queues" / "huey"
    app.add(1, 2)
    (file,) = (folder / "ready").iterdir()
    whole = file.read_bytes()
    number = file.name.partition(".")[0]
    (folder / "claimed" / f"{number}.1.0.1.0.5").write_bytes(whole)
    assert command("verify", "queues") == (1, "queues/huey: message 1 is in 2 states\n")
    (folder / "claimed" / f"{number}.1.0.1.0.5").unlink()
    file.write_bytes(whole[:-1])
    (folder / "results" / "mine").write_text("mine")
    code, text = command("verify", "queues")
    assert (code, text.count("\n")) == (1, 2)
    assert f"queues/huey: ready/{file.name} is damaged" in text
    assert "queues/huey: results/mine is damaged, or none that liteq wrote" in text
    assert file.exists(), "it changes nothing"
    assert len(app.huey) == 1  # who has it in memory has it
    fresh = FileHuey(path=tmp_path / "queues")
    assert len(fresh) == 0
    fresh.storage.close()
    code, text = command("verify", "queues")
    assert (code, f"damaged/ready-{file.name} was set aside" in text, text.count("\n")) == (1, True, 2)
    (folder / "state.json").write_text("{")
    assert "state.json: it is damaged" in command("verify", "queues")[1]


def test_events(app, listen, command, tmp_path):  # noqa: F811 -- fixtures are so
    FileHuey("o/ther", path=tmp_path / "queues").storage.pending_count()
    listeners = listen("app.huey"), listen("queues"), listen("queues/huey")
    result = app.add(1, 2)
    for listener in listeners:
        listener.wait_for(result.id, ["enqueued"])
    other = listen("queues", "--name", "o/ther")
    assert other.events() == []
    code, text = command("events", "queues", "--name", "third")
    assert (code, "there is no queue 'third' in this folder" in text) == (1, True)


@pytest.mark.parametrize("way", ["app.huey", "queues"])
@pytest.mark.parametrize("name", ["backup", "restore"])
def test_what_is_for_sqlite_alone_says_what_to_do_instead(app, command, name, way):
    app.add(1, 2)
    code, text = command(name, way, "copy")
    assert (code, text.count("\n")) == (2, 1)
    assert "stop all that uses it, and copy the folder" in text


@pytest.mark.parametrize("name", ["backup", "restore", "verify"])
def test_a_server_keeps_its_queues_itself(command, tmp_path, name):
    pytest.importorskip("redis")
    (tmp_path / "served.py").write_text("from liteq import RedisHuey\nhuey = RedisHuey(url='unix:///none')\n")
    code, text = command(name, "served.huey", *["copy"][: name != "verify"])
    assert (code, text.count("\n"), "The server keeps this one" in text) == (2, 1, True)


@pytest.mark.parametrize("name", ["status", "verify", "events"])
@pytest.mark.parametrize("way", ["app.huey", ".", "empty", "nowhere/at/all"])
def test_where_no_queue_is_none_is_made(app, command, tmp_path, name, way):
    (tmp_path / "empty").mkdir()
    if (name, way) == ("events", "app.huey"):
        pytest.skip("who listens to an application's queue makes it")
    code, text = command(name, way)
    assert (code, text.count("\n")) == (1, 1), text
    assert not (tmp_path / "queues").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_copy_of_the_folder_is_a_backup(app, command, consume, tmp_path):
    """As the commands say: with all stopped, a copy in its place is the queue as it was."""
    result = app.add(1, 2)
    app.huey.storage.close()
    subprocess.run(["cp", "-a", "queues", "copy"], cwd=tmp_path, check=True)
    subprocess.run(["rm", "-r", "queues"], cwd=tmp_path, check=True)
    subprocess.run(["cp", "-a", "copy", "queues"], cwd=tmp_path, check=True)
    assert command("verify", "queues")[1].endswith("whole; tasks: 1 ready; results: 0\n")
    consume()
    assert get(result) == 3
