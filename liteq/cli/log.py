"""The consumer's log: where it goes, and that nothing which is logged can pass for a line of its own."""

from __future__ import annotations

import argparse
import logging
import os
import stat
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO

from liteq.exceptions import ConfigurationError
from liteq.execution import ARGUMENTS_LOGGER

_USUAL: Final = "[%(asctime)s] %(levelname)s:%(name)s:%(process)d:%(message)s"
_USUAL_OF_THREADS: Final = "[%(asctime)s] %(levelname)s:%(name)s:%(process)d:%(threadName)s:%(message)s"
_SIMPLE: Final = "%(asctime)s %(message)s"
_INDENT: Final = "\n  "
# What moves the cursor, colours a terminal, turns the direction of text, or begins a line for some readers.
_RANGES: Final = ((0x00, 0x09), (0x0B, 0x20), (0x7F, 0xA0), (0x2028, 0x202F), (0x2066, 0x206A))
_CONTROLS: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for first, end in _RANGES
    for code in range(first, end)
}


class Formatter(logging.Formatter):
    """Formats records so that only a record's first line begins in the first column.

    Names, and the texts of exceptions, are often somebody else's: their further lines are indented, and
    control characters are written as escapes.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        return super().format(record).translate(_CONTROLS).replace("\n", _INDENT)


class Held(logging.Handler):
    """Keeps its lock by `with`: a task may be stopped at any step, and must not leave it to nobody."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, unless a filter is against it."""
        passed: Any = self.filter(record)
        if passed and self.lock is not None:
            with self.lock:
                self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)


class LogFile(Held, logging.FileHandler):
    """Appends to a file, which is made for its owner alone: tracebacks may tell what tasks work on."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        if Path(self.baseFilename).parent.stat().st_mode & stat.S_IWOTH:
            flags |= os.O_NOFOLLOW  # whoever made the link would say which file grows
        fd = os.open(self.baseFilename, flags, 0o600)
        return TextIOWrapper(os.fdopen(fd, "ab"), encoding=self.encoding, errors=self.errors)


class Steady(Held, logging.StreamHandler[TextIO]):
    """What can't be logged never ends who logs it, whatever a task has done to the standard streams."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the name is logging's
        """Tell of a record that can't be written, if that can be told."""
        with suppress(Exception):
            super().handleError(record)


def _standard_error() -> TextIO:
    """Standard error, by a file object that no task closes."""
    try:
        return open(sys.stderr.fileno(), "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    except (OSError, ValueError):  # it is no file
        return sys.stderr


def configure(group: argparse._ArgumentGroup) -> None:
    """Declare the options."""
    group.add_argument("-l", "--logfile", metavar="FILE", help="log to a file")
    group.add_argument("-v", "--verbose", action="store_true", help="log each task, and more")
    group.add_argument("-q", "--quiet", action="store_true", help="log warnings and errors only")
    group.add_argument("-S", "--simple", action="store_true", help="log time and message only")
    group.add_argument(
        "--log-arguments", action="store_true", help="log the arguments of each task, secrets included"
    )


def set_up(arguments: argparse.Namespace) -> None:
    """Let liteq's loggers write where and what the options say.

    Raises:
        ConfigurationError: if they contradict each other, or the file can't be written.
    """
    if arguments.verbose and arguments.quiet:
        raise ConfigurationError("-v and -q contradict each other")
    if arguments.log_arguments and arguments.quiet:
        raise ConfigurationError("--log-arguments and -q contradict each other")
    level = logging.DEBUG if arguments.verbose else logging.WARNING if arguments.quiet else logging.INFO
    handler: logging.Handler = Steady(_standard_error())
    if arguments.logfile:
        try:
            handler = LogFile(arguments.logfile, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigurationError(f"the log file can't be written: {error}") from error
    usual = _USUAL if arguments.worker_type == "process" else _USUAL_OF_THREADS
    handler.setFormatter(Formatter(_SIMPLE if arguments.simple else usual))
    logger = logging.getLogger("huey")
    logger.addHandler(handler)
    logger.setLevel(level)
    if arguments.log_arguments:
        logging.getLogger(ARGUMENTS_LOGGER).setLevel(logging.INFO)
