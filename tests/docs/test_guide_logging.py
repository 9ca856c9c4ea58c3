"""The guide's logging: loggers, what the consumer's options do, and handlers of an application's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from integration.consumer import Consumer, get, wait_until, write_app

MAIL = """
import logging, logging.handlers

class Mail(logging.Handler):
    '''Instead of an SMTPHandler: mails are lines of a file.'''

    def emit(self, record):
        note(f"mail {record.name} {record.levelname} {record.exc_info and record.exc_info[0].__name__}")

mail = Mail()
mail.setLevel(logging.ERROR)
logging.getLogger("huey").addHandler(mail)

file = logging.handlers.RotatingFileHandler(HERE / "application.log", maxBytes=100_000, backupCount=2)
logging.getLogger("application").addHandler(file)
logging.getLogger("application").setLevel(logging.INFO)

@huey.task(retries=1)
def send(name):
    logging.getLogger("application").info("sending %s", name)
    raise OSError(name)

@huey.task()
def talk():
    print("said aloud", flush=True)
    logging.getLogger("huey").info("told the queue's logger")

@huey.on_startup()
def broken():
    raise RuntimeError("no catalogue")
"""


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Callable[[str], ModuleType]]:
    written = []

    def write(more: str) -> ModuleType:
        written.append(write_app(tmp_path, more))
        return written[-1]

    yield write
    for module in written:
        module.huey.storage.close()
        for logger in ("huey", "application"):
            for handler in list(logging.getLogger(logger).handlers):
                logging.getLogger(logger).removeHandler(handler)
                handler.close()


@pytest.fixture
def consume(tmp_path: Path) -> Iterator[Callable[..., Consumer]]:
    consumers = []

    def start(*options: str) -> Consumer:
        consumers.append(Consumer(tmp_path, *options))
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.clean_up()


def test_handlers_of_an_application_work_in_its_workers(application, consume, tmp_path):
    app = application(MAIL)
    consumer = consume("-w", "2").wait_ready()
    for number in range(5):
        app.send(f"letter {number}")
    wait_until(lambda: app.notes().count("mail huey ERROR OSError") == 10)
    assert app.notes().count("mail huey ERROR RuntimeError") == 2  # of the hook, once in each worker
    lines = (tmp_path / "application.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"sending letter {n}" for n in range(5) for _ in range(2))
    consumer.wait_log("OSError: letter 4", times=2)
    assert consumer.log.count("ERROR:huey:") == 12
    assert consumer.stop() == 0


def test_what_a_task_says_is_on_the_console(application, consume):
    app = application(MAIL)
    consumer = consume().wait_ready()
    get(app.talk())
    consumer.wait_log("said aloud")
    assert "told the queue's logger" in consumer.log


@pytest.mark.parametrize(
    ("options", "levels"),
    [(["-v"], {"DEBUG", "INFO", "ERROR"}), ([], {"INFO", "ERROR"}), (["-q"], {"ERROR"})],
    ids=["verbose", "usual", "quiet"],
)
def test_how_much_is_said(application, consume, tmp_path, options, levels):
    app = application(MAIL)
    consumer = consume(*options, "-l", "huey.log")
    log = tmp_path / "huey.log"
    app.send("letter")
    wait_until(lambda: log.exists() and log.read_text().count("OSError: letter") == 2)
    assert consumer.stop() == 0
    text = log.read_text()
    for level in ("DEBUG", "INFO", "ERROR"):
        assert (f" {level}:huey" in text) == (level in levels), level
    assert consumer.log == ""


def test_simple(application, consume):
    application("")
    consumer = consume("-S").wait_ready()
    assert consumer.stop() == 0
    assert "huey.consumer" not in consumer.log
    assert "INFO" not in consumer.log


def test_an_application_that_configures_logging_itself(application, consume, tmp_path):
    app = application("""
import logging.config
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "OWN %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.FileHandler", "filename": str(HERE / "own.log"), "formatter": "own"}},
    "loggers": {"huey": {"handlers": ["own"], "level": "INFO"}},
})
""")
    consumer = consume().wait_ready()
    app.fail()
    wait_until(lambda: "OWN huey Unhandled exception" in (tmp_path / "own.log").read_text())
    assert consumer.stop() == 0
