"""Many processes at one lock, semaphore or rate limit: `contenders.py FILE WHAT PROCESSES EACH SECONDS`.

Each child notes in a file beside the queue when it enters and leaves, in one write each, so that the order of
the lines is the order of events. It ends when it has been in so often as it should (lock, semaphore), or has
tried so often (rate limit). It stays inside for up to SECONDS. The exit code is the number of children that did not end well.
"""

import os
import random
import sys
import time
import traceback

from liteq import RateLimitExceeded, SqliteHuey, TaskLockedException, clock
from liteq.locks import TaskSemaphore

FILE, WHAT, PROCESSES, EACH, SECONDS = *sys.argv[1:3], *map(int, sys.argv[3:5]), float(sys.argv[5])
SLOTS = 3
LIMIT, PER = 20, 0.25


def open_notes():
    return os.open(f"{FILE}-notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(fd, *words):
    os.write(fd, (" ".join(map(str, words)) + "\n").encode())


def contend(huey, fd):
    held = huey.lock_task("lock") if WHAT == "lock" else TaskSemaphore(huey, "semaphore", SLOTS)
    inside = 0
    while inside < EACH:
        try:
            with held:
                note(fd, "in", os.getpid())
                time.sleep(random.random() * SECONDS)
                note(fd, "out", os.getpid())
                inside += 1
        except TaskLockedException:
            time.sleep(random.random() / 100)


def hit(huey, fd):
    limit = huey.rate_limit("limit", LIMIT, PER)
    for _ in range(EACH):
        before = clock.since_boot()
        try:
            limit.acquire()
        except RateLimitExceeded as error:
            time.sleep(min(random.random() / 1000, error.delay))
        else:
            note(fd, "hit", before, clock.since_boot())


def child():
    fd, huey = open_notes(), SqliteHuey(filename=FILE)
    (hit if WHAT == "limit" else contend)(huey, fd)
    note(fd, "done", os.getpid())


def main():
    pids = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                child()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        pids.append(pid)
    sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))


main()
