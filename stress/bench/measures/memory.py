"""Memory that is a process's own."""

from __future__ import annotations

from pathlib import Path

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns

_WORKERS = 4


def measure(context: Context) -> list[Figure]:
    """Private memory of an idle worker: without what it shares with the process that has the application."""
    rounds = in_turns(context.rounds, {"liteq": lambda: _of(context)})
    fresh = "private memory of an idle worker, after its first task"
    used = "private memory of an idle worker, after thousands of tasks"
    goals = (Goal(12, at_most=True),)
    return [
        Figure("memory-new", fresh, "MB", rounds.of("new"), goals),
        Figure("memory-used", used, "MB", rounds.of("used"), goals),
        Figure("memory-pool", f"private memory of all processes, {_WORKERS} workers", "MB", rounds.of("all")),
    ]


def _of(context: Context) -> dict[str, float]:
    with context.session(context.liteq) as queue, queue.consumer(_WORKERS) as consumer:
        consumer.wait_until_ready()
        workers = queue.call("workers", _WORKERS)
        new = max(private(pid) for pid in workers)
        ids = queue.call("fill", "noop", [], 0, 10_000)
        queue.call("between", ids, 300)
        values = {"new": new, "used": max(private(pid) for pid in workers)}
        return values | {"all": sum(private(process.pid) for process in consumer.tree())}


def private(pid: int) -> float:
    """MB of a process that no other process shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
