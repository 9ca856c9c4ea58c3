"""A program that keeps the application of `stress.soaking` busy, at a steady pace, until it is told to stop.

python -m stress.mixing SEED
"""

from __future__ import annotations

import itertools
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from liteq import TaskException, chord
from stress.soaking import (
    EXPIRY,
    add_up,
    fail,
    huey,
    limited,
    once,
    paused_now_and_then,
    tell,
    work,
)  # fmt: skip

_PACE = 0.004
"""Seconds from one call to the next."""
_WAITERS = 4


class Mix:
    """What an application does with its queue.

    Args:
        seed: of its choices.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"soak {seed}")
        self._waiters = ThreadPoolExecutor(_WAITERS)
        self._waiting: list[Any] = []
        self._steps: list[Callable[[int], object]] = [
            *[self._ignore] * 6, *[self._read] * 4, *[self._wait] * 2,
            lambda _: fail(), once, lambda _: tell(5), limited, self._pipeline, self._chord, self._pause,
            self._revoke, self._revoke_too_late, self._values,
        ]  # fmt: skip
        self.is_over = False

    def run(self) -> None:
        """Do one thing after the other until told to stop."""
        signal.signal(signal.SIGTERM, self._stop)
        self._warm_up()
        for number in itertools.count():
            if self.is_over:
                break
            self._chance.choice(self._steps)(number)
            if not number % 100:
                huey.delete_dead(older_than=EXPIRY)
            time.sleep(_PACE)
        huey.resume(paused_now_and_then)
        self._waiters.shutdown()
        for waiting in self._waiting:
            waiting.result()

    def _warm_up(self) -> None:
        """Let all threads be there, and have their connections: a pool that fills late is no leak."""
        all_are_here = threading.Barrier(_WAITERS)

        def connect(_: int) -> None:
            all_are_here.wait()
            huey.pending_count()

        list(self._waiters.map(connect, range(_WAITERS)))

    def _stop(self, *_: object) -> None:
        self.is_over = True

    def _ignore(self, number: int) -> None:
        work(number, "x" * self._chance.choice([10, 100, 3000]))

    def _read(self, number: int) -> None:
        if len(self._waiting) < _WAITERS:
            self._wait(number)

    def _wait(self, number: int) -> None:
        """Somebody waits for the result, in a thread."""
        for waiting in [waiting for waiting in self._waiting if waiting.done()]:
            self._waiting.remove(waiting)
            waiting.result()
        if len(self._waiting) < 2 * _WAITERS:
            self._waiting.append(self._waiters.submit(_wait_for, work(number), number))

    def _pipeline(self, number: int) -> None:
        huey.enqueue(work.s(number).then(work).then(work))

    def _chord(self, number: int) -> None:
        huey.enqueue(chord([work.s(number), work.s(number), fail.s()], add_up.s()))

    def _pause(self, number: int) -> None:
        """Half of the time it is paused."""
        change = huey.pause if number // 200 % 2 else huey.resume
        change(paused_now_and_then)
        paused_now_and_then(number)

    def _revoke(self, number: int) -> None:
        """What waits for its time, and what may have begun."""
        result = work.schedule((number,), delay=0.3)
        result.revoke()
        work(number).revoke(terminate=bool(number % 2))

    def _revoke_too_late(self, number: int) -> None:
        """What has ended."""
        if len(self._waiting) < _WAITERS:
            result = work(number)
            result.get(blocking=True, timeout=60)
            result.revoke()

    def _values(self, number: int) -> None:
        huey.put(f"key {number % 10}", number)
        huey.get(f"key {number % 10}")
        huey.storage.incr(f"counter {number % 10}", 1)


def _wait_for(result: Any, number: int) -> None:
    try:
        value = result.get(blocking=True, timeout=60)
    except TaskException as error:
        raise RuntimeError("a task ended with an error that does not raise one") from error
    if value[0] != number:
        raise RuntimeError(f"{value} is the result of another task, not of {number}")


if __name__ == "__main__":
    Mix(int(sys.argv[1])).run()
