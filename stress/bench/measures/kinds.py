"""Workers that are processes, threads or greenlets: tasks that do nothing, and tasks that wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.measures.drain import drained
from stress.bench.system import System


class Workers(NamedTuple):
    """So many of a kind."""

    number: int
    kind: str

    def __str__(self) -> str:
        plural = "processes" if self.kind == "process" else f"{self.kind}s"
        return f"{self.number} {plural}"


PROCESSES, THREADS, GREENLETS = Workers(2, "process"), Workers(2, "thread"), Workers(100, "greenlet")
KINDS = (PROCESSES, THREADS, GREENLETS)


def measure(context: Context) -> list[Figure]:
    """No-op tasks, and tasks that wait for 10 ms, as one does that waits for another server."""
    return [
        _figure(context, "noop", "no-op tasks drained by workers of all kinds, FULL"),
        _figure(context, "nap", "tasks that wait for 10 ms, drained by workers of all kinds, FULL"),
    ]


def _figure(context: Context, task: str, what: str) -> Figure:
    peers = context.sqlite_peers("full")
    contenders: dict[str, Callable[[], Mapping[str, float]]] = {
        f"{it.name}, {workers}": partial(_rate, context, it, workers, task)
        for it in (context.liteq, *peers)
        for workers in KINDS
    }
    goals = [
        Goal(5, of=f"liteq, {workers}", beside=f"{peer.name}, {workers}")
        for peer in peers
        for workers in KINDS
        if task == "noop"
    ]
    rounds = in_turns(context.rounds, contenders)
    return Figure(f"kinds-{task}", what, "tasks/s", rounds.of("rate"), tuple(goals))


def _rate(context: Context, it: System, workers: Workers, task: str) -> dict[str, float]:
    if task == "noop":
        count = context.several(20_000, 60_000) if it.name == "liteq" else context.several(3_000, 10_000)
    else:
        count = workers.number * context.several(50, 150)
    return {"rate": drained(context, it, task, [], count, workers=workers.number, kind=workers.kind)}
