"""liteq events: print what happens to the tasks of a queue, as it happens."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from liteq.cli.target import HELP_WITH_FOLDERS as TARGET
from liteq.cli.target import is_file, queue_of
from liteq.exceptions import StorageError

HELP = "print what happens to tasks, as it happens"

EPILOG = """\
exit codes:
  0  ended by INT (Ctrl-C) or TERM, by --timeout, or because nobody reads what it prints
  1  nobody can listen there; the reason is printed
  2  wrong usage
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Print each event of a queue's tasks as a line of JSON, from now on."
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("queue", metavar="QUEUE", help=TARGET)
    parser.add_argument("--name", default="huey", help="which of the queues in a file or folder (huey)")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="end when there was no event for so long (never)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print events until told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_without_reader, args=(sys.stdout.fileno(),), daemon=True).start()
    try:
        _print(_queue(arguments), arguments.timeout)
    except (StorageError, ValueError) as error:
        sys.stderr.write(f"liteq: {error}\n")
        return 1 if isinstance(error, StorageError) else 2
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go, and Python's own end would complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _end_without_reader(fd: int) -> None:
    """End as soon as the other end of a pipe is gone, as in `liteq events … | head -1`."""
    reader = select.poll()
    reader.register(fd, 0)  # for errors alone
    reader.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _print(huey: Any, timeout: float | None) -> None:
    with huey.events(timeout=timeout) as events:
        sys.stderr.write(f"listening to queue {huey.name!r}: {huey.storage.describe()}\n")
        sys.stderr.flush()
        for event in events:
            sys.stdout.write(f"{json.dumps(event)}\n")
            sys.stdout.flush()


def _queue(arguments: argparse.Namespace) -> Any:
    if Path(arguments.queue).is_dir():
        from liteq.api import FileHuey
        from liteq.storage.file.existing import queue_in

        name, path = queue_in(arguments.queue, arguments.name)
        return FileHuey(name, path=path)
    if is_file(arguments.queue):
        from liteq.api import SqliteHuey
        from liteq.storage.sqlite.existing import queues_in

        queues_in(arguments.queue)  # for none is made
        return SqliteHuey(arguments.name, filename=arguments.queue)
    return queue_of(arguments.queue, needs_file=False)
