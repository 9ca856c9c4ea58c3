"""What can't work is refused: in one clear line, with the exit code that says what kind it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from .consumer import PATIENCE, ROOT, write_app

BESIDE_HUEY = """
from liteq import MemoryHuey
not_a_queue = 42
immediate = SqliteHuey(filename=HERE / "queue.db", immediate=True)
memory = MemoryHuey()
"""


@pytest.fixture(autouse=True)
def _app(tmp_path):
    write_app(tmp_path, BESIDE_HUEY).huey.storage.close()


def refusal(consumer) -> str:
    """The one line that it said before it ended."""
    consumer.wait()
    (line,) = consumer.log.splitlines()
    return line


@pytest.mark.parametrize(
    ("application", "says"),
    [
        ("nope.huey", "nope"),
        ("app.nothing", "nothing"),
        ("app.sub.huey", "app.sub"),
        ("app", "module.attribute"),
        ("app.not_a_queue", "not a queue"),
        ("app.immediate", "immediate"),
        ("app.memory", "memory"),
    ],
)
def test_an_application_that_cannot_be_consumed(launch, application, says):
    consumer = launch(application=application)
    assert says in refusal(consumer)
    assert consumer.process.returncode == 2


def test_a_wrong_attribute_names_the_right_one(launch):
    assert "huey" in refusal(launch(application="app.hueyy"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-w", "0"], "workers"),
        (["-w", "-3"], "workers"),
        (["-k", "foo"], "foo"),
        (["-g", "FOO"], "FOO"),
        (["-M", "0"], "max-tasks"),
        (["--max-memory", "512"], "max-memory"),
        (["--max-age", "0"], "max-age"),
        (["--warn-after", "-1"], "warn-after"),
        (["--start-timeout", "0"], "start-timeout"),
        (["-t", "-1"], "shutdown-timeout"),
        (["-t", "nan"], "shutdown-timeout"),
        (["-d", "0"], "delay"),
        (["-m", "-1"], "max-delay"),
        (["-b", "0.5"], "backoff"),
        (["-c", "0"], "health-check-interval"),
        (["-s", "0"], "scheduler-interval"),
        (["--max-crashes", "0"], "max-crashes"),
        (["-v", "-q"], "-q"),
        (["-l", "no/such/folder/log"], "no/such/folder"),
    ],
)
def test_a_wrong_value(launch, options, says):
    consumer = launch(*options)
    assert says in refusal(consumer)
    assert consumer.process.returncode == 2


@pytest.mark.parametrize(
    "options", [["--foo"], ["-w", "many"], ["-t", "soon"], ["-w"], ["--max-memory", "lots"]]
)
def test_options_that_the_parser_refuses(launch, options):
    consumer = launch(*options)
    assert consumer.wait() == 2
    assert options[0] in consumer.log.splitlines()[-1]
    assert "Traceback" not in consumer.log


def test_the_refusal_reaches_the_terminal_though_there_is_a_log_file(launch):
    consumer = launch("-l", "consumer.log", application="nope.huey")
    assert "nope" in refusal(consumer)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import a_module_that_is_not_installed", "a_module_that_is_not_installed"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('configured wrongly')", "configured wrongly"),
        ("huey.task()(add.func)", "declared already"),
    ],
)
def test_an_application_that_raises_shows_its_traceback(launch, tmp_path, source, says):
    (tmp_path / "app.py").write_text((tmp_path / "app.py").read_text() + source)
    consumer = launch()
    assert consumer.wait() == 1
    assert says in consumer.log
    assert 'app.py", line' in consumer.log
    assert source in consumer.log
    assert "importlib" not in consumer.log
    assert consumer.members() == []


def test_a_mistake_in_the_options_of_a_queue_is_shown_without_its_line(launch, tmp_path):
    """There may be a password in it."""
    source = "SqliteHuey(filename='', filname='secret')"
    (tmp_path / "app.py").write_text((tmp_path / "app.py").read_text() + source)
    consumer = launch()
    assert consumer.wait() == 1
    assert "SqliteStorage has no option filname; did you mean filename?" in consumer.log
    assert 'app.py", line' in consumer.log
    assert "secret" not in consumer.log


def test_a_module_that_the_application_lacks(launch, tmp_path):
    """It is not the path on the command line that is wrong."""
    (tmp_path / "other.py").write_text("import app.missing\n")
    consumer = launch(application="other.huey")
    assert consumer.wait() == 1
    assert "Traceback" in consumer.log


def text_file(path):
    path.write_bytes(b"Dear diary,\n" * 100)


def other_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE diary (day TEXT)")
    connection.close()


def newer_schema(path):
    app = write_app(path.parent)
    app.add(1, 2)
    app.huey.storage.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [(text_file, "not a SQLite"), (other_database, "another application"), (newer_schema, "newer liteq")],
)
def test_a_file_that_is_not_ours_is_left_as_it_is(launch, tmp_path, make, says):
    path = tmp_path / "queue.db"
    make(path)
    before = path.read_bytes()
    consumer = launch("-q", "-w", "2")
    line = refusal(consumer)
    assert says in line
    assert str(path) in line
    assert consumer.process.returncode == 3
    assert path.read_bytes() == before
    assert consumer.members() == []


def test_a_folder_that_does_not_exist(launch, tmp_path):
    source = (tmp_path / "app.py").read_text()
    (tmp_path / "app.py").write_text(source.replace('HERE / "queue.db"', 'HERE / "no" / "queue.db"'))
    consumer = launch("-q")
    assert "does not exist" in refusal(consumer)
    assert consumer.process.returncode == 3


def test_more_workers_than_there_may_be_open_files(app, tmp_path):
    """Not started in part, and then ended by an error in the middle of it."""

    def consume(workers):
        return subprocess.run(
            ["sh", "-c", f'ulimit -n 200; exec "$0" -m liteq consume app.nothing -w {workers}', sys.executable],
            check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE,
            capture_output=True, text=True,
        )  # fmt: skip

    done = consume(57)
    assert done.returncode == 2
    assert "57 workers need 203 open files, and this process may have 200" in done.stderr
    assert "has no 'nothing'" in consume(56).stderr
