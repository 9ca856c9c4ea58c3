"""The history of a run, written outside the queue by producers, tasks, consumers and whoever kills them.

All processes append to one file, a line for each event. The kernel appends a line whole, or not at all, and
one after the other: so the order of the lines is an order in which things happened, whoever was killed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

ACKNOWLEDGED: Final = "acknowledged"
"""The call that enqueued the task has returned. `detail`: kind, at_most_once, priority, expected, wait …"""
ANNOUNCED: Final = "announced"
"""A bulk, `detail["bulk"]`, of `detail["size"]` tasks is about to be enqueued."""
ENQUEUED: Final = "enqueued"
"""The call that enqueued the bulk `detail["bulk"]` has returned."""
CLAIMED: Final = "claimed"
"""A dispatcher is about to claim the message."""
STARTED: Final = "started"
"""The task's function has begun."""
SETTLED: Final = "settled"
"""A settle of the message is committed. `detail`: status, whether it ends the message, whether it held."""
ENTERED: Final = "entered"
"""A task is inside of a lock or semaphore, `detail["name"]`, of `detail["room"]` places."""
LEFT: Final = "left"
"""It is about to leave."""
HIT: Final = "hit"
"""A rate limit allowed a hit, between `detail["before"]` and `detail["after"]` (nanoseconds since boot)."""
GATHERED: Final = "gathered"
"""The callback of a chord has its list, `detail["values"]`."""
BORN: Final = "born"
"""A worker begins, with the application's code of number `detail["code"]`, and liteq at `detail["liteq"]`."""
IN_FORCE: Final = "in force"
"""The consumer has said that code is in force: that of number `detail["code"]`, or a later one."""
RESTARTING: Final = "restarting"
"""The consumer is about to be rolled or stopped: `detail["how"]`."""
RESTARTED: Final = "restarted"
"""It is done, and the consumer ready again."""
STOPPED: Final = "stopped"
"""A consumer that was told to stop has ended, with the exit code `detail["code"]`."""
EXPIRED: Final = "expired"
"""Another consumer is about to take the claim over, because its lease has ended."""
FROZEN: Final = "frozen"
"""The process `detail["victim"]` stands still (SIGSTOP)."""
RESUMED: Final = "resumed"
"""It is about to go on."""
KILLING: Final = "killing"
"""The process `detail["victim"]` is about to be killed."""
KILLED: Final = "killed"
"""It is dead: what it does in between, such as to enter a lock, counts no more than what it did before."""

FORGOTTEN: Final = "forgotten"
"""An empty server has come in the place of the one there was: what was enqueued before is lost."""


class Event(NamedTuple):
    """One line."""

    at: int
    """Nanoseconds of the monotonic clock."""
    pid: int
    """The process that wrote it."""
    kind: str
    id: str
    """The task; empty if it is about none, or only the message is known."""
    seq: int
    """The message; 0 if that is not known."""
    attempt: int
    detail: dict[str, Any]


class Recorder:
    """Appends events to the history of a folder. It may be carried across a fork."""

    def __init__(self, folder: str | Path) -> None:
        self._fd = os.open(
            Path(folder, "history"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    def note(self, kind: str, id: str = "", seq: int = 0, attempt: int = 0, /, **detail: Any) -> None:
        """Append one event."""
        line = json.dumps([time.monotonic_ns(), os.getpid(), kind, id, seq, attempt, detail])
        os.write(self._fd, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Follower:
    """Reads a history that goes on.

    Args:
        folder: whose history.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder, "history")
        self._at = self._path.stat().st_size if self._path.exists() else 0

    def events(self) -> list[Event]:
        """What has happened since it was made, or since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._at += sum(map(len, whole))
        return [Event(*json.loads(line)) for line in whole]


def read(folder: str | Path) -> list[Event]:
    """The history so far, in order."""
    return list(_events(Path(folder, "history")))


def _events(path: Path) -> Iterator[Event]:
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last one may be about to be written
                    yield Event(*json.loads(line))
