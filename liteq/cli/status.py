"""liteq status: what a queue and its consumers are doing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from liteq.cli.target import HELP_WITH_FOLDERS as TARGET
from liteq.cli.target import is_file, queue_of
from liteq.exceptions import StorageError

HELP = "show what a queue and its consumers are doing"

EPILOG = """\
exit codes:
  0  a consumer runs, for each queue that is shown
  1  the queue can't be read; the reason is printed
  2  wrong usage
  3  a queue is shown that no consumer serves
"""

_HEADINGS = ("process", "pid", "state", "CPU", "memory", "private", "task")
_NUMBERS = {"pid", "CPU", "memory", "private"}
_SHOWN = 5
_STATES = {
    "gone": "is gone; the next consumer puts back what it had",
    "ending": "was killed; its processes end after the running tasks",
    "elsewhere": "runs in a container or on a machine that can't be looked into from here, if it runs",
    "silent": "counts as dead: nothing was heard of it for long from its container or machine",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Show how many tasks there are, which consumers run, and what each of their processes is doing. Of a "
        "file or a folder, all of its queues are shown."
    )
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("queue", metavar="QUEUE", help=TARGET)
    parser.add_argument("--json", action="store_true", help="print it as JSON, an array of queues")


def run(arguments: argparse.Namespace) -> int:
    """Print the state; 3 if a queue has no consumer, 1 if it can't be read."""
    from liteq.workers.overview import look_at

    try:
        views = [look_at(storage) for storage in _storages(arguments.queue)]
    except StorageError as error:
        sys.stderr.write(f"liteq: {error}\n")
        return 1
    if arguments.json:
        text = json.dumps([_plain(view) for view in views], indent=2)
    else:
        text = "\n\n".join("\n".join(_lines(view)) for view in views) or "no queue has left anything here"
    sys.stdout.write(f"{text}\n")
    return 0 if views and all(view.is_served for view in views) else 3


def _storages(argument: str) -> list[Any]:
    """The storages of the queues that are meant; of a file that is there, for none is made."""
    from liteq.storage.sqlite import SqliteStorage
    from liteq.storage.sqlite.existing import queues_in

    if Path(argument).is_dir():
        from liteq.storage.file.existing import storages_in

        return list(storages_in(argument))
    if is_file(argument):
        return [SqliteStorage(name, argument) for name in queues_in(argument)]
    storage = queue_of(argument, needs_file=False).storage
    if hasattr(storage, "database"):
        queues_in(str(storage.database.path))
    elif hasattr(storage, "folder"):
        from liteq.storage.file.existing import folders_in

        folders_in(str(storage.folder))
    return [storage]


def _plain(value: Any) -> Any:
    """Named tuples as objects."""
    if hasattr(value, "_asdict"):
        return {name: _plain(field) for name, field in value._asdict().items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _lines(view: Any) -> Iterator[str]:
    yield f"queue {view.name!r} in {view.storage}"
    named = view.counts._asdict()
    named["running"] = named.pop("claimed")
    order = ("ready", "scheduled", "running", "waiting", "dead")
    yield "  ".join(f"{name} {named[name]:,}" for name in order)
    if view.paused:
        everything = "*" in view.paused
        yield f"paused: {'the whole queue' if everything else ', '.join(view.paused)}"
    if not view.consumers:
        yield "no consumer runs"
    for consumer in view.consumers:
        yield ""
        yield f"consumer {consumer.number} (pid {consumer.pid}) {_told(consumer)}"
        if consumer.processes:
            yield from _table([row for process in consumer.processes for row in _rows(process)])
        yield from _unplaced(consumer.unplaced)


def _unplaced(tasks: list[Any]) -> Iterator[str]:
    """A few of them: short tasks, of which a worker may have many at hand, are gone before they are read."""
    for task in tasks[:_SHOWN]:
        yield f"  and {_task(task)}"
    if len(tasks) > _SHOWN:
        yield f"  and {len(tasks) - _SHOWN:,} more that have just begun, or wait for their worker"


def _told(consumer: Any) -> str:
    if consumer.state != "running":
        return _STATES[consumer.state]
    if consumer.since is None:
        return "runs"
    since = datetime.fromtimestamp(consumer.since, UTC).astimezone()
    age = datetime.now(UTC).timestamp() - consumer.since
    return f"runs since {since:%Y-%m-%d %H:%M:%S}, for {_span(age)}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in [_HEADINGS, *rows]) for i in range(len(_HEADINGS))]
    for row in [_HEADINGS, *rows]:
        cells = (
            cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
            for cell, width, heading in zip(row, widths, _HEADINGS, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()


def _rows(process: Any) -> Iterator[tuple[str, ...]]:
    """A row, and one more for each further task of a process that runs several."""
    first, *others = process.tasks or [None]
    yield _cells(process, first)
    for task in others:
        yield (*[""] * (len(_HEADINGS) - 1), _task(task))


def _cells(process: Any, task: Any) -> tuple[str, ...]:
    private = "?" if process.private is None else _megabytes(process.private)
    return (
        process.role,
        str(process.pid),
        process.state if process.role.startswith("worker") or process.state not in {"idle", "busy"} else "",
        f"{process.cpu:.0%}",
        _megabytes(process.resident),
        private,
        "" if task is None else _task(task),
    )


def _task(task: Any) -> str:
    attempt = f", attempt {task.attempt}" if task.attempt > 1 else ""
    length = "" if task.seconds is None else f" for {_span(task.seconds)}"
    return f"{task.name} {task.id}{length}{attempt}"


def _megabytes(size: int) -> str:
    return f"{size >> 20:,} MB"


def _span(seconds: float) -> str:
    """A duration for people: 0.4 s, 75 s, 12 min, 3.2 h, 5.0 d."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} d"
