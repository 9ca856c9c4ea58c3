"""The application of the consumers under test: copied into each test's folder, and loaded by the test too."""

import os
import time
from pathlib import Path

from liteq import PriorityRedisHuey, SqliteHuey

HERE = Path(__file__).parent
REDIS = os.environ.get("LITEQ_TEST_REDIS")
huey = PriorityRedisHuey(str(HERE), url=REDIS) if REDIS else SqliteHuey(filename=HERE / "queue.db")


def note(text):
    """Append a line in one write, so that notes of several processes do not mix."""
    fd = os.open(HERE / "notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text} {os.getpid()}\n".encode())
    os.close(fd)


def _lines():
    path = HERE / "notes"
    return [line.rsplit(" ", 1) for line in path.read_text().splitlines()] if path.exists() else []


def notes():
    """All notes, in order."""
    return [text for text, _ in _lines()]


def workers_notes():
    """Those that this process did not write, which is the producer."""
    return [text for text, pid in _lines() if int(pid) != os.getpid()]


def pids(text):
    """The processes that wrote this note, in order."""
    return [int(pid) for written, pid in _lines() if written == text]


def open_gate(name, pid=""):
    """Let `hold(name)` end, wherever it runs or in one process alone."""
    (HERE / f"gate-{name}{pid}").touch()


def pass_gate(name):
    """Wait until the gate is open."""
    gates = HERE / f"gate-{name}", HERE / f"gate-{name}{os.getpid()}"
    while not any(gate.exists() for gate in gates):
        time.sleep(0.002)


@huey.task()
def add(a, b):
    return a + b


@huey.task()
def pid():
    return os.getpid()


@huey.task()
def work(number, seconds=0.0):
    """Note the number and take a while."""
    note(number)
    time.sleep(seconds)
    return number


@huey.task()
def hold(name):
    """Note the start and end when the gate is open; the pid of the process that got so far."""
    note(name)
    pass_gate(name)
    return os.getpid()


@huey.task(at_most_once=True)
def hold_once(name):
    """The same, for work that must not repeat."""
    note(name)
    pass_gate(name)
    return os.getpid()


@huey.task()
def meet(name, number):
    """End when so many of these run at the same time, in as many processes."""
    note(name)
    while notes().count(name) < number:
        time.sleep(0.002)
    return os.getpid()


@huey.task()
def echo(value):
    return value


@huey.task()
def fail():
    raise ValueError("it went wrong")
