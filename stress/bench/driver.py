"""The program of a measurement: `python driver.py FUNCTION [JSON …]` prints what the function returns.

It runs in the interpreter of the system that is measured, beside `app.py`: all systems are measured by the
same code. It knows nothing that liteq has and huey has not, but for the functions that say so.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

app: Any = import_module("app")  # of one system or another

_STAMPS = 4
"""Several workers are at the end together: the last of these is the end."""


def ping() -> int:
    """Run one task."""
    return int(app.noop().get(blocking=True, timeout=60))


def flush() -> None:
    """Delete everything."""
    app.huey.flush()


def fill(task: str, arguments: list[Any], warm_up: int, count: int) -> list[str]:
    """Enqueue tasks to warm up, stamps, the tasks that count, and stamps again; the ids of the stamps."""
    declared = getattr(app, task)
    declared.map([tuple(arguments)] * warm_up)
    first = [app.stamp().id for _ in range(_STAMPS)]
    declared.map([tuple(arguments)] * count)
    return first + [app.stamp().id for _ in range(_STAMPS)]


def between(ids: list[str], timeout: float) -> float:
    """Seconds between the first half of the stamps and the second, once all have run."""
    deadline = time.monotonic() + timeout
    while app.huey.get(ids[-1], peek=True) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not drained after {timeout} s")
        time.sleep(0.05)  # seldom: what looks on takes time from what is measured
    times = [app.huey.result(id, blocking=True, timeout=10) for id in ids]
    return float(max(times[_STAMPS:]) - max(times[:_STAMPS])) / 1e9


def enqueue(count: int) -> float:
    """Calls a second, each with its own commit."""
    for _ in range(20):
        app.noop()
    began = time.perf_counter()
    for _ in range(count):
        app.noop()
    return count / (time.perf_counter() - began)


def enqueue_for(begin: float, seconds: float) -> list[float]:
    """Call a task from one moment on for some seconds; how long each call took, in ms."""
    app.noop()
    time.sleep(max(0.0, begin - time.time()))
    took = []
    before = time.perf_counter()
    end = before + seconds
    while before < end:
        app.noop()
        now = time.perf_counter()
        took.append((now - before) * 1e3)
        before = now
    return took


def bulk(count: int) -> dict[str, float]:
    """Tasks a second by each way to enqueue many at once (of liteq), what makes the tasks included."""
    from liteq import group

    ways: dict[str, Callable[[], object]] = {
        "map": lambda: app.noop.map([()] * count),
        "group": lambda: app.huey.enqueue(group([app.noop.s() for _ in range(count)])),
        "enqueue_many": lambda: app.huey.enqueue_many([app.noop.s() for _ in range(count)]),
    }
    rates = {}
    app.noop()
    for name, way in ways.items():
        began = time.perf_counter()
        way()
        rates[name] = count / (time.perf_counter() - began)
    return rates


def latency(idle: float, count: int) -> list[tuple[float, float, float]]:
    """In ms, after idle time each: of the call, from its return to the task's start, and to the result."""
    ping()
    times = []
    for _ in range(count):
        time.sleep(idle)
        called = time.time_ns()
        handle = app.stamp()
        returned = time.time_ns()
        started = handle.get(blocking=True, timeout=60)
        ended = time.time_ns()
        times.append(tuple(ns / 1e6 for ns in (returned - called, started - returned, ended - returned)))
    return times  # type: ignore[return-value]


def held(starts: str, gate: str) -> int:
    """Run the task that waits for a gate."""
    return int(app.hold(starts, gate).get(blocking=True, timeout=60))


def workers(count: int) -> list[int]:
    """The pids of all workers: each runs one task, which ends when all are at theirs."""
    handles = [app.meet(count) for _ in range(count)]
    return [handle.get(blocking=True, timeout=60) for handle in handles]


def dispatcher() -> int:
    """The pid of the process that claims and settles (in liteq)."""
    return next(int(by.pid) for _, by in app.huey.storage.consumers().values() if by is not None)


def payloads(count: int, size: int) -> float:
    """Bytes a second, there and back: arguments of that size, returned as results, all of them read."""
    data = [os.urandom(size) for _ in range(count)]
    ping()
    began = time.perf_counter()
    handles = [app.echo(one) for one in data]
    for one, handle in zip(data, handles, strict=True):
        if handle.get(blocking=True, timeout=120) != one:
            raise ValueError("another result than the argument")
    return 2 * count * size / (time.perf_counter() - began)


def deepen(pending: int, scheduled: int) -> None:
    """Let so many tasks wait (in liteq)."""
    at_once = 10_000
    for _ in range(0, pending, at_once):
        app.noop.map([()] * min(at_once, pending))
    for _ in range(0, scheduled, at_once):
        app.huey.enqueue_many([app.noop.s(delay=10**6) for _ in range(min(at_once, scheduled))])


def drain_for(seconds: float) -> float:
    """Tasks a second that leave the queue (of liteq), from the moment that the first few have."""
    waiting = _waiting()
    deadline = time.monotonic() + 60
    while _waiting() > waiting - 1_000:
        if time.monotonic() > deadline:
            raise TimeoutError("nothing is drained")
        time.sleep(0.05)
    began, before = time.perf_counter(), _waiting()
    time.sleep(seconds)
    ended, after = time.perf_counter(), _waiting()
    if after < 1_000:
        raise ValueError("drained before the time was over: let more tasks wait")
    return (before - after) / (ended - began)


def _waiting() -> int:
    counts = app.huey.counts()
    return int(counts.pending + counts.running)


def looks(rounds: int) -> dict[str, float]:
    """How long looks into the queue (of liteq) take, in ms: opening it, and then the fastest of some."""
    began = time.perf_counter()
    app.huey.storage.next_due()
    times = {"open": (time.perf_counter() - began) * 1e3}
    handle = app.noop()
    kinds: dict[str, Callable[[], object]] = {
        "status": lambda: app.huey.status(handle),
        "counts": app.huey.counts,
        "pending(10)": lambda: app.huey.pending(10),
    }
    for name, look in kinds.items():
        times[name] = min(_took(look) for _ in range(rounds)) * 1e3
    return times


def _took(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    _, function, *arguments = sys.argv
    print(json.dumps(globals()[function](*map(json.loads, arguments))))
