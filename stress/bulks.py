"""A producer to be killed: `python -m stress.bulks SEED SIZE`; threads, here and in forked processes.

Before a bulk it notes how large it is, after it that the call has returned.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import threading
import time

from liteq import chord, group
from stress import history as h
from stress.app import again, history, huey, member, tally

_THREADS = 2
_PROCESSES = 2


def _enqueue(kind: str, name: str, size: int) -> None:
    tasks = [member.s(name) for _ in range(size)]
    if kind == "map":
        member.map([name] * size)
    elif kind == "many":
        huey.enqueue_many(tasks)
    elif kind == "group":
        huey.enqueue(group(tasks))
    else:
        huey.enqueue(chord(tasks, tally.s(size)))


class Caller:
    """Calls one after the other, until it is killed."""

    def __init__(self, seed: str, size: int) -> None:
        self._chance = random.Random(seed)
        self._size = size

    def run(self) -> None:
        """Single calls and bulks in turns."""
        while True:
            for _ in range(self._chance.randint(0, 20)):
                self._single()
            self._bulk()
            while huey.pending_count() > self._size * 2:
                time.sleep(0.01)

    def _single(self) -> None:
        before = time.monotonic()
        handle = again(1)
        wait = time.monotonic() - before
        history.note(h.ACKNOWLEDGED, handle.id, kind="single", wait=wait, expected=1, once=False, priority=0)

    def _bulk(self) -> None:
        size = self._chance.randint(self._size // 4, self._size)
        name = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
        history.note(h.ANNOUNCED, bulk=name, size=size)
        _enqueue(self._chance.choice(["map", "many", "group", "chord"]), name, size)
        history.note(h.ENQUEUED, bulk=name)


def _threads(seed: str, size: int) -> None:
    threads = [threading.Thread(target=Caller(f"{seed} {number}", size).run) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Fork, and be a producer with threads as well; the children are in the group of this process."""
    seed, size = sys.argv[1], int(sys.argv[2])
    context = multiprocessing.get_context("fork")
    for number in range(_PROCESSES):
        context.Process(target=_threads, args=(f"{seed} {number}", size)).start()
    _threads(f"{seed} parent", size)


if __name__ == "__main__":
    main()
