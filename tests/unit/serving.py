"""A consumer of sorts: threads that run the tasks of a queue in a file as workers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liteq import Huey, clock
from liteq.identity import identify

from .running import NEVER, PATIENCE, attempted


@contextmanager
def served(huey: Huey, workers: int = 2) -> Iterator[None]:
    """Tasks of the queue run within the block; at its end the running ones are finished."""
    stop = threading.Event()
    owner = huey.storage.register(identify())
    threads = [threading.Thread(target=_work, args=(huey, owner, stop)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)


def _work(huey: Huey, owner: int, stop: threading.Event) -> None:
    while not stop.is_set():
        claims = huey.storage.claim(owner, 1, now=clock.now(), lease=NEVER)
        for claim in claims:
            huey.storage.settle([attempted(huey, claim)], clock.now())
        if not claims:
            stop.wait(0.002)


def wait_for_file(path: Path) -> None:
    """What a task does that is to last until the test says so."""
    while not path.exists():
        threading.Event().wait(0.002)
