"""The application under stress. Its tasks, and its dispatcher, write what they do into the history.

The environment says where (`LITEQ_STRESS`, a folder), and for tests of the checker which bug to plant.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import liteq
from liteq import Huey, PriorityRedisHuey, RateLimitExceeded, SqliteHuey, TaskLockedException, clock, every
from liteq.current import current_task
from liteq.locks import TaskSemaphore
from stress import history as h
from stress.backends import redis_url
from stress.patched import patch
from stress.planted import BUGS
from stress.recorded import Recorded, RecordedStorage, recorded
from stress.settings import Settings
from stress.shifted import follow

SETTINGS = Settings.of_environment()
follow(SETTINGS.folder)
history = h.Recorder(SETTINGS.folder)
Recorded.recorder = history


def _open() -> Huey:
    """The queue of the run, recorded."""
    if SETTINGS.storage == "sqlite":
        return SqliteHuey(
            filename=f"{SETTINGS.folder}/queue.db",
            durability=SETTINGS.durability,
            storage_class=recorded(BUGS[SETTINGS.bug]) if SETTINGS.bug else RecordedStorage,
        )
    from stress.planted_redis import ON_REDIS  # redis-py is loaded where it is used

    kind = recorded(ON_REDIS[SETTINGS.bug])
    return PriorityRedisHuey("stress", url=redis_url(SETTINGS), storage_class=kind)


huey = _open()

CODE = SETTINGS.code()


@huey.on_startup()
def born() -> None:
    """Say what a worker is made of."""
    history.note(h.BORN, code=CODE, liteq=str(Path(liteq.__file__).parents[1]))


def note(kind: str, **detail: Any) -> None:
    """Write an event of the attempt that is being run."""
    task = current_task()
    if task is not None and task.claim is not None:
        history.note(kind, task.id, task.claim.seq, task.claim.attempt, **detail)


def work(milliseconds: float) -> None:
    """Take so long."""
    if milliseconds:
        time.sleep(milliseconds / 1000)


@huey.task()
def again(number: int, milliseconds: float = 0) -> int:
    """May run more than once."""
    note(h.STARTED)
    work(milliseconds)
    return number


@huey.task()
def silent(_number: int) -> None:
    """Has no result."""
    note(h.STARTED)


@huey.task()
def member(bulk: str) -> None:
    """One of a bulk."""
    note(h.STARTED, bulk=bulk)


@huey.task()
def tally(size: int, values: list[Any]) -> None:
    """The callback of a chord of so many."""
    note(h.STARTED)
    note(h.GATHERED, values=len(values), expected=size)


@huey.task(at_most_once=True)
def once(number: int, milliseconds: float = 0) -> int:
    """Must not start twice."""
    note(h.STARTED, once=True)
    work(milliseconds)
    return number


@huey.task()
def failing(_number: int, milliseconds: float = 0) -> None:
    """Ends with an error."""
    note(h.STARTED)
    work(milliseconds)
    raise RuntimeError("as it has to")


@huey.task(retries=2, retry_delay=0.02, context=True)
def flaky(number: int, milliseconds: float = 0, task: Any = None) -> int:
    """Fails twice, and is retried after a moment."""
    note(h.STARTED)
    work(milliseconds)
    if task.retries:
        raise RuntimeError("not yet")
    return number


@huey.task()
def locked(number: int, milliseconds: float = 0) -> int:
    """Works inside of a lock if it gets it."""
    note(h.STARTED)
    try:
        with huey.lock_task("lock"):
            note(h.ENTERED, name="lock", room=1)
            try:
                work(milliseconds)
            finally:  # it may be interrupted
                note(h.LEFT, name="lock")
    except TaskLockedException:
        pass
    return number


@huey.task()
def crowded(number: int, milliseconds: float = 0) -> int:
    """Works inside of a semaphore of two places if it gets one."""
    note(h.STARTED)
    semaphore = TaskSemaphore(huey, "semaphore", 2)
    place = semaphore.acquire()
    if place is not None:
        note(h.ENTERED, name="semaphore", room=2)
        try:
            work(milliseconds)
        finally:
            note(h.LEFT, name="semaphore")
        semaphore.release(place)
    return number


TIMEOUT = 1.0


@huey.task(timeout=TIMEOUT)
def timed(number: int) -> int:
    """Takes longer than it may."""
    note(h.STARTED)
    work(60_000)
    return number


LIMIT, PER = 5, 0.1


@huey.task()
def limited(number: int, _milliseconds: float = 0) -> int:
    """Makes a hit if the rate limit allows it."""
    note(h.STARTED)
    before = clock.since_boot() * 1000
    try:
        huey.rate_limit("rate", LIMIT, PER).acquire()
    except RateLimitExceeded:
        return number
    note(h.HIT, name="rate", limit=LIMIT, per=PER, before=before, after=(clock.since_boot() + 1) * 1000)
    return number


LEAK, STEP = 2 << 20, 2 << 20
_leaked: list[bytearray] = []


@huey.task()
def leaking(number: int, milliseconds: float = 0) -> int:
    """Keeps some memory for ever."""
    note(h.STARTED)
    _leaked.append(bytearray(b"x") * LEAK)
    work(milliseconds)
    return number


@huey.task()
def growing(number: int) -> int:
    """Takes ever more memory, until its worker is killed; but not the second time."""
    note(h.STARTED)
    task = current_task()
    taken = []
    while task is not None and task.claim is not None and task.claim.attempt == 1:
        taken.append(bytearray(b"x") * STEP)
        work(10)
    return number


@huey.task()
def gather(*arguments: Any) -> int:
    """The callback of a chord: what it has to get, and what it gets."""
    *expected, values = arguments
    note(h.STARTED)
    note(h.GATHERED, values=values, expected=expected)
    return sum(values)


INTERVAL = 0.2


@huey.periodic_task(every(seconds=INTERVAL), missed="all")
def tick() -> None:
    """Fires in each slot, the missed ones included."""
    task = current_task()
    assert task is not None
    assert task.slot is not None
    note(h.STARTED, slot=task.slot.timestamp())


patch()
