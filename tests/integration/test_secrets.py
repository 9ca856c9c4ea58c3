"""What tasks work on is in no log, unless it is asked for; and nothing that is logged can be forged."""

from __future__ import annotations

import os
import pickle
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial

import pytest

from liteq import crontab

from .consumer import PATIENCE, ROOT, get, wait_until, wait_until_settled

SECRET = "hunter2-correct-horse"

TASKS = """
from liteq import CancelExecution, RetryTask, chord
from liteq.exceptions import TaskLockedException
from liteq.serializer import JSONSerializer


@huey.task(retries=1, retry_delay=0.01)
def fails(secret, password=None):
    raise ValueError("a bug")


@huey.task()
def shouts(*values, **named):
    raise CancelExecution("no more")


@huey.task()
def handle(*values, **named):
    pass


@huey.task()
def unreadable(value):
    return lambda: value, open(__file__)


@huey.task()
def die(secret):
    os._exit(9)


@huey.task(timeout=0.2)
def slow(secret):
    time.sleep(30)


@huey.task()
@huey.lock_task("the only one")
def locked(secret):
    raise TaskLockedException("by another")


@huey.pre_execute()
def before(task):
    raise KeyError("before")


@huey.post_execute()
def after(task, value, exception):
    raise KeyError("after")


@huey.signal()
def receive(signal, task, *more):
    raise KeyError("received")

"""


@pytest.fixture
def app(declare):
    return declare(TASKS)


def call_in_every_way(app):
    """All that a task can come to, each with the secret in its arguments or its result."""
    huey = app.huey
    assert get(app.echo(SECRET)) == SECRET
    huey.enqueue(app.echo.s(SECRET).then(app.handle, SECRET).error(app.handle, SECRET))
    huey.enqueue(app.fails.s(SECRET, password=SECRET).error(app.handle, SECRET))
    huey.enqueue(
        app.chord([app.echo.s(SECRET), app.fails.s(SECRET), app.shouts.s(SECRET)], app.handle.s(SECRET))
    )
    app.shouts(SECRET, x=SECRET)
    app.unreadable(SECRET)
    app.slow(SECRET)
    app.locked(SECRET)
    app.die(SECRET)
    app.echo.schedule((SECRET,), delay=0.01)
    app.echo(SECRET, expires=datetime(2001, 1, 1, tzinfo=UTC))
    result = app.echo.schedule((SECRET,), delay=0.5)
    result.revoke()
    huey.submit(partial(len, SECRET))
    huey.submit(len, SECRET)
    huey.schedules.add("soon", app.echo.s(SECRET), crontab())


def spoil(app):
    """Write what nobody could have called: messages and schedules that can't be read."""
    storage = app.huey.storage
    with storage.database.write() as transaction:
        write = transaction.connection.execute
        for number, data in enumerate(
            (SECRET.encode(), b"\xff" + SECRET.encode(), pickle.dumps(SECRET), b"{")
        ):
            message = app.huey.message_of(app.echo.s(SECRET, id=f"spoilt-{number}"))._replace(data=data)
            storage._insert(transaction, [message], 0)
        write("INSERT INTO timetable VALUES ('huey', 'spoilt', ?)", (f'{{"args": ["{SECRET}"]}}',))
        write("INSERT INTO timetable VALUES ('huey', 'spoilt 2', ?)", (f'["{SECRET}"',))
        write("UPDATE timetable_version SET version = version + 1")
    app.huey.pending()


def test_what_tasks_work_on_is_in_no_log(app, launch, tmp_path, caplog):
    consumer = launch("-v", "-w", "2", "--timeout-grace", "0.2", "-l", "consumer.log")
    call_in_every_way(app)
    spoil(app)
    wait_until(lambda: app.huey.counts().dead >= 5, "the spoilt messages and the deadly one")
    wait_until_settled(app)
    spoken = [*(task.reason for task in app.huey.dead()), *(repr(one) for one in app.huey.history())]
    assert consumer.stop() == 0
    log = (tmp_path / "consumer.log").read_text()
    for sign in (
        "Executing app.echo",
        "a bug",
        "no more",
        "can't be decoded",
        "expired",
        "revoked",
        "code 9",
        "spoilt 2",
    ):
        assert sign in log, sign
    assert "Traceback" in log
    for where in (log, consumer.log, caplog.text, *spoken, *map(repr, app.huey.schedules)):
        assert SECRET not in where


def test_bytes_of_another_serializer_are_not_shown(declare, launch):
    """The repr of a UnicodeDecodeError holds all of the bytes."""
    app = declare("")
    app.echo(SECRET)
    declare("from liteq.serializer import JSONSerializer\nhuey.serializer = JSONSerializer()")
    consumer = launch("-v")
    consumer.wait_log("can't be decoded: UnicodeDecodeError: 'utf-8' codec can't decode byte")
    wait_until(app.huey.dead)
    assert SECRET not in consumer.log + app.huey.dead()[0].reason


def test_arguments_are_logged_if_that_is_asked_for(app, consume):
    consumer = consume("--log-arguments")
    result = app.echo([SECRET, {"a": 1}])
    get(result)
    line = f"INFO:huey.arguments:.*Arguments of task {result.id}: \\(\\(\\[.*\\],\\), {{}}\\)"
    assert re.search(line, consumer.log)
    assert SECRET in consumer.log
    consumer.send(1)
    consumer.wait_log("The new code is in force")
    get(app.echo("second " + SECRET))
    assert "second " + SECRET in consumer.log


def test_arguments_that_are_logged_are_shortened_and_may_be_anything(declare, consume):
    app = declare("""
class Odd:
    def __repr__(self):
        raise RuntimeError("no words for it")


@huey.task()
def take_odd():
    return echo(Odd()).id
""")
    consumer = consume("--log-arguments")
    get(app.echo("x" * 1_000_000))
    get(app.take_odd())
    consumer.wait_log("<Odd instance at")
    assert "x" * 1000 not in consumer.log
    assert "Logging error" not in consumer.log


# Lines


FORGED = "[2030-01-01 00:00:00,000] INFO:huey.consumer:1:Stopped"


@pytest.fixture
def forger(declare):
    return declare(f"""
FORGED = {FORGED!r}


class Terminal(Exception):
    pass


@huey.task()
def forge():
    raise Terminal("\\x1b[2J\\x9b31m\\r\\u2028\\n" + FORGED + "\\ud800")


@huey.task()
@huey.lock_task("a\\n" + FORGED)
def forge_lock():
    raise huey_exceptions.CancelExecution("b\\n" + FORGED)


from liteq import exceptions as huey_exceptions
""")


@pytest.mark.parametrize("simple", [(), ("-S",)])
@pytest.mark.parametrize("to_file", [(), ("-l", "consumer.log")])
def test_a_line_cannot_be_forged(forger, consume, launch, tmp_path, simple, to_file):
    consumer = launch("-v", *simple, *to_file)

    def log():
        return (
            (tmp_path / "consumer.log").read_text() if (tmp_path / "consumer.log").exists() else consumer.log
        )

    with forger.huey.storage.database.write() as transaction:
        message = forger.huey.message_of(forger.echo.s(1))
        wrong = message._replace(id=f"x\n{FORGED}", name=f"y\r\n{FORGED}", data=b"nothing")
        forger.huey.storage._insert(transaction, [wrong], 0)
    results = [forger.forge(), forger.forge_lock()]
    wait_until(forger.huey.dead)
    wait_until(lambda: all(result.is_ready() for result in results))
    assert consumer.stop() == 0
    lines = log().split("\n")
    assert sum(FORGED in line for line in lines) >= 4
    assert not any(line.startswith(FORGED) for line in lines)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028]", log())
    assert r"\x1b[2J\x9b31m\x0d\u2028" in log()
    assert "Logging error" not in log() + consumer.log


# The file


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_log_file_is_its_owner_s_alone_unless_it_is_there(app, tmp_path, umask):
    before = os.umask(umask)
    try:
        run_until_refused(tmp_path, "-l", "consumer.log")
        assert stat.S_IMODE((tmp_path / "consumer.log").stat().st_mode) == 0o600
        (tmp_path / "consumer.log").chmod(0o640)
        run_until_refused(tmp_path, "-l", "consumer.log")
        assert stat.S_IMODE((tmp_path / "consumer.log").stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_a_link_in_a_folder_of_everybody_s_is_not_logged_to(app, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "consumer.log").symlink_to("precious")
    run_until_refused(tmp_path, "-l", "consumer.log")
    assert (tmp_path / "precious").read_text() != "precious"
    (tmp_path / "precious").write_text("precious")
    tmp_path.chmod(0o1777)
    assert "the log file can't be written" in run_until_refused(tmp_path, "-l", "consumer.log")
    assert (tmp_path / "precious").read_text() == "precious"


def run_until_refused(folder, *options):
    """A consumer that ends at once, because there is no such queue, with its log begun."""
    done = subprocess.run(
        [sys.executable, "-m", "liteq", "consume", "app.nothing", *options],
        check=False, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    return done.stderr
