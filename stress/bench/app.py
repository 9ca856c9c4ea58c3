"""The application that is measured: the same for liteq and for huey, but for where it imports from.

It runs in the interpreter of the system that is measured. The environment says which that is.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import os

if os.environ.get("BENCH_KIND") == "greenlet":
    from gevent import monkey

    monkey.patch_all()  # as huey leaves it to the application; liteq has done so already

import time
from pathlib import Path
from typing import Any

SYSTEM = os.environ.get("BENCH_SYSTEM", "liteq")
FOLDER = os.environ["BENCH_FOLDER"]
DURABILITY = os.environ.get("BENCH_DURABILITY", "full")


def make() -> Any:
    """The queue."""
    if SYSTEM == "liteq":
        import liteq

        return liteq.SqliteHuey(filename=f"{FOLDER}/queue.db", durability=DURABILITY)
    if SYSTEM == "liteq-redis":
        import liteq

        return liteq.RedisHuey(f"bench{abs(hash(FOLDER))}", url=os.environ["BENCH_REDIS"])
    import huey

    if SYSTEM == "huey-redis":
        return huey.RedisHuey(f"bench{abs(hash(FOLDER))}", url=os.environ["BENCH_REDIS"])
    # None is huey's default, and SQLite's: an fsync for each commit.
    return huey.SqliteHuey(filename=f"{FOLDER}/queue.db", fsync=None if DURABILITY == "full" else False)


huey = make()


@huey.task()
def noop() -> int:
    """Nothing, with a result to store."""
    return 1


@huey.task()
def nap() -> None:
    """Wait a little."""
    time.sleep(0.01)


@huey.task()
def stamp() -> int:
    """When it runs, in ns of the wall clock."""
    return time.time_ns()


def work(count: int) -> int:
    """Keep the CPU busy."""
    total = 0
    for number in range(count):
        total += number
    return total


@huey.task()
def spin(count: int) -> int:
    """Keep the CPU busy."""
    return work(count)


@huey.task()
def echo(data: bytes) -> bytes:
    """What it was given."""
    return data


@huey.task()
def hold(starts: str, gate: str) -> int:
    """Note the start, wait until the gate is there."""
    with Path(starts).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {time.time_ns()}\n")
    while not Path(gate).exists():
        time.sleep(0.0005)
    return os.getpid()


@huey.task()
def meet(count: int) -> int:
    """Wait until so many are here; the process."""
    Path(FOLDER, f"met{os.getpid()}").touch()
    while len(list(Path(FOLDER).glob("met*"))) < count:
        time.sleep(0.001)
    return os.getpid()
