"""What a command works on: a queue's file or folder, or the queue of an application."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from liteq.exceptions import ConfigurationError

HELP = "the queue's file, or the queue as module.attribute"
HELP_WITH_FOLDERS = "the queue's file or folder, or the queue as module.attribute"

_SUFFIXES = (".db", ".sqlite", ".sqlite3")


def file_of(argument: str) -> str:
    """The path of the file that an argument means.

    Raises:
        ConfigurationError: if it is neither the name of a file nor the path of a queue that has one.
    """
    if Path(argument).is_dir():
        raise ConfigurationError(f"{argument}: {_IN_A_FOLDER}")
    return argument if is_file(argument) else str(queue_of(argument).storage.database.path)


def folders_of(argument: str) -> list[Path]:
    """The folders of the queues that an argument means; none if it means something else than a folder.

    Raises:
        ConfigurationError: if it is the path of a queue that can't be loaded.
        StorageError: if there is no queue in the folder.
    """
    if not Path(argument).is_dir():
        folder = (
            None
            if is_file(argument)
            else getattr(queue_of(argument, needs_file=False).storage, "folder", None)
        )
        if folder is None:
            return []
        argument = str(folder)
    from liteq.storage.file.existing import folders_in

    return folders_in(argument)


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
        raise ConfigurationError(f"{argument} has no file: {_instead(huey.storage)}")
    return huey


_IN_A_FOLDER = (
    "this command is for queues in SQLite files. Of a queue in a folder, stop all that uses it, and copy the "
    "folder, or put a copy in its place"
)


def _instead(storage: Any) -> str:
    if hasattr(storage, "folder"):
        return _IN_A_FOLDER
    if hasattr(storage, "server"):
        return (
            "this command is for queues in SQLite files. The server keeps this one: see how it writes to its "
            "disk (`redis-cli --rdb FILE` copies what it has)"
        )
    return "this command is for queues in SQLite files"
