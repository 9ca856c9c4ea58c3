"""A full disk at bad moments; a limit for the size of files stands in for it."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from itertools import count

import psutil
import pytest

from liteq.exceptions import StorageFull

from .consumer import PATIENCE, ROOT, get, kill, started, wait_until


def limit(size, *pids):
    """Let processes make no file longer than this."""
    for pid in pids:
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture
def fill(tmp_path):
    """Leaves no room for the processes of a consumer and for this one, or again as much as there is."""

    def set_limit(app, consumer, *, full):
        size = (tmp_path / "queue.db-wal").stat().st_size if full else resource.RLIM_INFINITY
        limit(size, os.getpid(), *consumer.members())
        if full:
            with contextlib.suppress(StorageFull):
                for number in count():  # each takes one page of what is left in the WAL
                    app.huey.put("k", number)

    yield set_limit
    limit(resource.RLIM_INFINITY, os.getpid())


def test_a_dispatcher_that_dies_meanwhile(app, consume, fill):
    """The next one waits for room, the workers go on, and nothing they did is lost."""
    consumer = consume("-w", "2")
    result = app.hold("a")
    worker = started(app, "a")
    with app.huey.storage.database.snapshot() as reader:
        reader.execute("SELECT count(*) FROM queue").get  # so that the WAL can't begin anew
        fill(app, consumer, full=True)
        with pytest.raises(StorageFull):
            app.add(1, 2)
        kill(consumer.dispatcher)
        consumer.wait_log("Storage fails; trying again until it works")
        app.open_gate("a")
        assert consumer.process.poll() is None
        fill(app, consumer, full=False)
    assert get(result) == worker
    assert app.notes() == ["a"]
    consumer.wait_log("Storage works again")
    assert get(app.add(1, 2)) == 3
    assert consumer.log.count("Storage fails") == 1
    assert consumer.stop() == 0


def test_an_outcome_too_large_for_a_packet_waits_in_its_worker(declare, consume, fill):
    app = declare("""
@huey.task()
def large():
    note("large")
    pass_gate("large")
    return "x" * 1_000_000
""")
    consumer = consume()
    result = app.large()
    started(app, "large")
    with app.huey.storage.database.snapshot() as reader:
        reader.execute("SELECT count(*) FROM queue").get
        fill(app, consumer, full=True)
        app.open_gate("large")
        consumer.wait_log("The outcome of a task can't be stored yet")
        fill(app, consumer, full=False)
    assert get(result) == "x" * 1_000_000
    assert app.notes() == ["large"]
    assert consumer.log.count("can't be stored yet") == 1
    assert consumer.stop() == 0


@pytest.mark.parametrize("size", [0, 1000])
def test_a_full_disk_at_the_start(app, tmp_path, size):
    app.add(1, 2)
    app.huey.storage.close()
    done = subprocess.run(
        [sys.executable, "-m", "liteq", "consume", "app.huey", "-q"],
        check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE, text=True,
        stderr=subprocess.PIPE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"{tmp_path / 'queue.db'}: the disk is full" in line
    assert len(app.huey) == 1


def test_no_room_for_a_new_file(declare, tmp_path):
    app = declare("")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(StorageFull, match="the disk is full"):
            app.add(1, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    app.add(1, 2)
    wait_until(lambda: len(app.huey) == 1)
