"""The application under stress. Its tasks write what happens to them into a history outside the queue."""

import os
import time

from liteq import SqliteHuey
from stress.history import note

FOLDER = os.environ["LITEQ_STRESS"]
huey = SqliteHuey(filename=f"{FOLDER}/queue.db", durability=os.environ.get("LITEQ_STRESS_DURABILITY", "full"))


def run(number: int, milliseconds: float) -> int:
    """Note the start, work for a while, note the end."""
    note(FOLDER, "pids", os.getpid())
    note(FOLDER, "started", number)
    time.sleep(milliseconds / 1000)
    note(FOLDER, "ended", number)
    return number


@huey.task()
def again(number: int, milliseconds: float) -> int:
    """A task that may run more than once."""
    return run(number, milliseconds)


@huey.task(at_most_once=True)
def once(number: int, milliseconds: float) -> int:
    """A task that must not start twice."""
    return run(number, milliseconds)
