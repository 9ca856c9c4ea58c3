"""The application under stress, with tasks that are poison beside the others."""

from __future__ import annotations

import threading
import time
from typing import Any

from liteq.workers import brake
from stress import history as h
from stress import lapses, poisons
from stress.app import again, huey, note, work

__all__ = ["again", "harmless", "huey", "overdue", "poison", "use"]


@huey.on_startup()
def be_impatient() -> None:
    """Or each exception whose representation does not end would cost ten seconds."""
    brake._LEAST_TO_CONCLUDE = 0.2  # noqa: SLF001 -- as said


@huey.task()
def poison(name: str, argument: Any = None) -> Any:
    """Harm the worker."""
    note(h.STARTED)
    return poisons.take(name, argument)


@huey.task()
def harmless(name: str, milliseconds: float = 0) -> str:
    """In its place, where harm is to be compared with none."""
    note(h.STARTED)
    work(milliseconds)
    return name


@huey.task(timeout=0.1)
def overdue(number: int) -> int:
    """Must be ended by the exception in it, in any worker, whatever ran there before."""
    note(h.STARTED)
    time.sleep(30)
    return number


def _depth(left: int) -> int:
    return _depth(left - 1) if left else 0


@huey.task()
def use(number: int) -> int:
    """What any task may do with the queue, wherever the one before it has left its process."""
    note(h.STARTED)
    assert _depth(400) == 0
    key = f"use {number}"
    huey.put(key, number)
    with huey.lock_task(key):
        assert not huey.is_revoked(str(threading.get_ident()))
    return int(huey.get(key))


lapses.commit()
