"""A producer: calls tasks of all kinds until it is told to stop, and notes those whose call returned.

    python -m stress.load SEED BACKLOG [kind …]

It waits while more than BACKLOG tasks are pending.
"""

from __future__ import annotations

import itertools
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from liteq import chord
from liteq.exceptions import StorageUnreachable
from stress import history as h
from stress.app import (
    again,
    crowded,
    failing,
    flaky,
    gather,
    growing,
    history,
    huey,
    leaking,
    limited,
    locked,
    once,
)

_LOOK_EVERY = 20


class Called(NamedTuple):
    """A task that a call enqueued."""

    id: str
    expected: Any
    """How it has to end."""
    once: bool = False
    priority: int = 0
    ordered: bool = False
    """It starts in the order of the calls."""


Call = Callable[[int, random.Random], list[Called]]


def _milliseconds(chance: random.Random) -> int:
    return chance.choice([0, 0, 0, 1, 5])


def _plain(number: int, chance: random.Random) -> list[Called]:
    priority = chance.choice([0, 0, 0, 5])
    handle = again(number, _milliseconds(chance), priority=priority)
    return [Called(handle.id, number, priority=priority, ordered=True)]


def _once(number: int, chance: random.Random) -> list[Called]:
    return [Called(once(number, _milliseconds(chance)).id, number, once=True, ordered=True)]


def _simple(task: Any, expected: Any = None) -> Call:
    def call(number: int, chance: random.Random) -> list[Called]:
        handle = task(number, _milliseconds(chance))
        return [Called(handle.id, number if expected is None else expected)]

    return call


def _long(number: int, chance: random.Random) -> list[Called]:
    return [Called(again(number, chance.uniform(100, 1000)).id, number)]


def _delayed(number: int, chance: random.Random) -> list[Called]:
    return [Called(again.schedule((number,), delay=chance.uniform(0.01, 0.5)).id, number)]


def _pipeline(number: int, _chance: random.Random) -> list[Called]:
    stages = huey.enqueue(again.s(number).then(again).then(again))
    return [Called(handle.id, number) for handle in stages]


def _bulk(number: int, chance: random.Random) -> list[Called]:
    numbers = [number * 100 + place for place in range(chance.randint(2, 30))]
    tasks = [again.s(n) for n in numbers]
    huey.enqueue_many(tasks)
    return [Called(task.id, n, ordered=True) for task, n in zip(tasks, numbers, strict=True)]


def _chord(number: int, chance: random.Random) -> list[Called]:
    numbers = [number * 100 + place for place in range(chance.randint(1, 5))]
    tasks = [again.s(n) for n in numbers]
    handle = huey.enqueue(chord(tasks, gather.s(*numbers)))
    members = [Called(task.id, n) for task, n in zip(tasks, numbers, strict=True)]
    return [*members, Called(handle.callback.id, sum(numbers))]


KINDS: dict[str, Call] = {
    "plain": _plain,
    "once": _once,
    "failing": _simple(failing, expected="error"),
    "flaky": _simple(flaky),
    "locked": _simple(locked),
    "crowded": _simple(crowded),
    "limited": _simple(limited),
    "delayed": _delayed,
    "pipeline": _pipeline,
    "bulk": _bulk,
    "chord": _chord,
}
ON_REQUEST: dict[str, Call] = {
    "long": _long,
    "leaking": _simple(leaking),
    "growing": lambda number, _: [Called(growing(number).id, number)],
}
"""What would disturb the other hazards."""
_PLAIN_SHARE = 8
"""Of so many calls more than of each other kind is a plain one."""


class Producer:
    """Makes calls.

    Args:
        seed: of its choices.
        backlog: it waits while more tasks are pending.
        kinds: of calls.
    """

    def __init__(self, seed: int, backlog: int, kinds: list[str]) -> None:
        self._chance = random.Random(f"producer {seed}")
        self._backlog = backlog
        self._kinds = [*kinds, *["plain"] * (_PLAIN_SHARE if "plain" in kinds else 0)]
        self._is_over = False

    def stop(self, *_: object) -> None:
        """Make no more calls."""
        self._is_over = True

    def run(self) -> None:
        """Make calls until it is to stop."""
        for number in itertools.count(1):
            if self._is_over:
                return
            self.call(number)
            if not number % _LOOK_EVERY:
                self._wait_for_room()

    def _wait_for_room(self) -> None:
        while not self._is_over and self._is_full():
            time.sleep(0.005)

    def _is_full(self) -> bool:
        try:
            return huey.pending_count() > self._backlog
        except StorageUnreachable:
            return True

    def call(self, number: int) -> None:
        """Make one call, and note what it enqueued."""
        kind = self._chance.choice(self._kinds)
        before = time.monotonic_ns()
        try:
            called = (KINDS | ON_REQUEST)[kind](number, self._chance)
        except StorageUnreachable:
            return  # it may have had its effect or not: nothing was promised
        wait = (time.monotonic_ns() - before) / 1e9
        for one in called:
            detail = one._asdict()
            history.note(h.ACKNOWLEDGED, detail.pop("id"), kind=kind, wait=wait, **detail)


def main() -> None:
    """Be a producer."""
    seed, backlog, *kinds = sys.argv[1:]
    producer = Producer(int(seed), int(backlog), kinds or list(KINDS))
    signal.signal(signal.SIGTERM, producer.stop)
    producer.run()


if __name__ == "__main__":
    main()
