"""Processes that call a task without pause: `python -m stress.contenders PROCESSES SECONDS`.

Prints the processor time of all of them, in seconds. They begin together.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback

from stress import history as h
from stress.app import history, huey, silent


def contend(ready: int, go: int, seconds: float) -> None:
    """Make calls, one after the other, from when all others do."""
    huey.pending_count()  # the connection is open
    os.write(ready, b".")
    os.read(go, 1)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        before = time.monotonic_ns()
        handle = silent(number)
        wait = (time.monotonic_ns() - before) / 1e9
        history.note(h.ACKNOWLEDGED, handle.id, wait=wait)
        number += 1


def main() -> int:
    """Fork the processes; 1 if one of them failed."""
    processes, seconds = int(sys.argv[1]), float(sys.argv[2])
    go, start = os.pipe()
    waiting, ready = os.pipe()
    children = []
    for _ in range(processes):
        pid = os.fork()
        if not pid:
            os.close(start)
            try:
                contend(ready, go, seconds)
            except BaseException:  # noqa: BLE001 -- it is what the hazard is about
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(pid)
    os.close(ready)
    for _ in children:
        os.read(waiting, 1)
    os.close(start)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1]]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
