"""An application such as the guides of huey lead to: a library's background work. Copied into a test's folder."""

import functools
import os
import time
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from liteq import CancelExecution, RetryTask, SqliteHuey, crontab
from liteq.exceptions import TaskException
from liteq.signals import SIGNAL_ERROR

HERE = Path(__file__).parent
huey = SqliteHuey("library", filename=HERE / "library.db")


def note(text):
    """Append a line in one write, so that lines of several processes do not mix."""
    fd = os.open(HERE / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text}\n".encode())
    os.close(fd)


def notes(beginning=""):
    """The lines that begin so."""
    path = HERE / "diary"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line.startswith(beginning)]


def times(word):
    """How often something has happened, this time included."""
    note(word)
    return notes(word).count(word)


# Calls


@huey.task()
def multiply(a, b):
    return a * b


@huey.task()
def shelve(title, shelf="A"):
    note(f"shelved {title} in {shelf}")


# Periodic work


@huey.periodic_task(crontab(minute="*/5", hour="8-12,14-18"), retries=1, priority=3)
def remind():
    note("reminded")


# Work that fails


@huey.task(retries=2)
def dial(number):
    if times(f"dialled {number}") < 3:
        raise ConnectionError("engaged")
    return "connected"


@huey.task(retries=1, retry_delay=0.2)
def dial_later(number):
    note(f"at {time.time()}")
    if times(f"dialled {number}") < 2:
        raise ConnectionError("engaged")
    return "connected"


@huey.task()
def download(name):
    if times(f"downloaded {name}") < 2:
        raise RetryTask(delay=0.1)
    if times(f"downloaded {name} again") < 2:
        raise RetryTask(eta=datetime.now() + timedelta(seconds=0.1))  # noqa: DTZ005 -- local, as people write it
    return f"contents of {name}"


@huey.task(retries=2)
def import_records(case):
    attempts = times(f"imported {case}")
    if case == "forced" and attempts < 5:
        raise CancelExecution(retry=True)
    if case == "over":
        raise CancelExecution(retry=False)
    if case == "as declared":
        raise CancelExecution
    return attempts


def doubling_delays(retries, backoff):
    """A decorator of an application's own, around the task decorator."""

    def decorate(function):
        @functools.wraps(function)
        def inner(*args, task, **kwargs):
            try:
                return function(*args, **kwargs)
            except Exception:
                note(f"delay {task.retry_delay:.2f}")
                task.retry_delay *= backoff
                raise

        return huey.task(retries=retries, retry_delay=0.02, context=True)(inner)

    return decorate


@doubling_delays(retries=3, backoff=2)
def fails_slower(word):
    raise ValueError(word)


# Order


@huey.task()
def wait_for(name):
    """Occupy the worker until the file is there."""
    note(f"waiting for {name}")
    while not (HERE / name).exists():
        time.sleep(0.002)


@huey.task(priority=10)
def letter(to):
    note(f"letter to {to}")


@huey.task(priority=1)
def scan(page):
    note(f"scanned {page}")


# Limits


@huey.task(expires=60)
def news(text):
    note(f"news {text}")


# Pipelines


@huey.task()
def halve(pair, rest=0):
    return pair // 2, pair % 2 + rest


@huey.task()
def describe(author="?", title="?", year=0):
    note(f"{author}: {title}, {year}")
    return {"author": author.upper(), "year": year + 1}


# Signals and hooks


@huey.signal(SIGNAL_ERROR)
def report(signal, task, exc=None):
    note(f"signal {signal} of {task.name}: {exc!r}")


@huey.pre_execute()
def closed_on_sundays(task):
    if task.name == "shelve" and task.args[:1] == ("Sunday",):
        raise CancelExecution("closed")


@huey.post_execute(name="diary")
def after(task, value, exc):
    if task.name == "shelve":
        note(f"after shelve: {value!r} {exc!r}")


catalogue = {}


@huey.on_startup()
def open_catalogue():
    catalogue["Emma"] = "Austen"


@huey.task()
def author_of(title):
    return catalogue[title]


class Database:
    def __enter__(self):
        note("opened")
        return "connection"

    def __exit__(self, *_):
        note("closed")


@huey.context_task(Database(), as_argument=True, retries=1)
def query(connection, statement):
    return f"{statement} on {connection}"


# The result store


@huey.task()
def visitors():
    before = huey.get("visitors", peek=True) or 0
    huey.put("visitors", before + 1)
    return before + 1


# Functions that were not declared


@huey.task()
def call_by_path(path, *args, **kwargs):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(*args, **kwargs)


@huey.task(context=True)
def own_id(task=None):
    return task.id


@huey.task(retries=3, retries_as_argument=True, include_task=True)
def countdown(word, retries, task):
    note(f"{word} {retries} {task.name}")
    if retries > 1:
        raise ValueError(word)
    return retries


@huey.task()
def ask_again():
    """Read the error of another task."""
    try:
        multiply.call_local(None, None)
    except TypeError as error:
        raise TaskException({"error": "asked in vain"}) from error
