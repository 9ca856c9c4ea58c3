"""The application that is measured."""

import os
import time

from liteq import SqliteHuey

huey = SqliteHuey(
    filename=os.environ["LITEQ_BENCH_FILE"],
    durability=os.environ.get("LITEQ_BENCH_DURABILITY", "full"),
    history=int(os.environ.get("LITEQ_BENCH_HISTORY", "10000")),
)


@huey.task()
def noop() -> int:
    """Nothing, with a result to store."""
    return 1


@huey.task()
def started() -> int:
    """When it runs."""
    return time.time_ns()


@huey.task()
def hold(starts: str, gate: str) -> int:
    """Note the start, wait until the gate is there."""
    with open(starts, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {time.time_ns()}\n")
    while not os.path.exists(gate):
        time.sleep(0.0005)
    return os.getpid()
