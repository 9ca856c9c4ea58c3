"""What a command works on: a queue's file, or the queue of an application."""

from __future__ import annotations

import os
from typing import Any

from liteq.exceptions import ConfigurationError

HELP = "the queue's file, or the queue as module.attribute"

_SUFFIXES = (".db", ".sqlite", ".sqlite3")


def file_of(argument: str) -> str:
    """The path of the file that an argument means.

    Raises:
        ConfigurationError: if it is neither the name of a file nor the path of a queue that has one.
    """
    return argument if is_file(argument) else str(queue_of(argument).storage.database.path)


def is_file(argument: str) -> bool:
    """Whether an argument means a file, and not the queue of an application."""
    return os.path.lexists(argument) or os.sep in argument or argument.endswith(_SUFFIXES)


def queue_of(argument: str, *, needs_file: bool = True) -> Any:
    """The queue of an application, which has a file, if it needs one.

    Raises:
        ConfigurationError: if it can't be loaded, or has no file.
    """
    # Imported here, so that a command on a file does not load what runs applications.
    from liteq.workers.application import BrokenApplication, load

    try:
        huey = load(argument)
    except BrokenApplication as error:
        raise ConfigurationError(f"{argument}: the application can't be imported:\n{error}") from error
    if needs_file and getattr(huey.storage, "database", None) is None:
        raise ConfigurationError(f"{argument} has no file: this command is for queues in SQLite files")
    return huey
