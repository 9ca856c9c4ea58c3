"""Tasks that keep a CPU busy: what two workers make of two cores."""

from __future__ import annotations

import os
import time
from functools import partial

from stress.bench import bare
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.measures.drain import drained

ONE, TWO = "liteq, 1 worker", "liteq, 2 workers"
POOL = "multiprocessing.Pool(2)"


def measure(context: Context) -> list[Figure]:
    """Tasks of 1 ms and of 10 ms."""
    loops = _loops_a_ms()
    return [_figure(context, ms, loops * ms) for ms in (1, 10)]


def _figure(context: Context, ms: int, argument: int) -> Figure:
    count = context.several(1_500, 4_000) // ms
    rounds = in_turns(
        context.rounds,
        {
            POOL: lambda: {"rate": bare.pool(_work, 2, count, argument)},
            ONE: partial(_liteq, context, argument, count // 2, 1),
            TWO: partial(_liteq, context, argument, count, 2),
        },
    )
    goals = (Goal(1.85, of=TWO, beside=ONE), Goal(0.9, of=TWO, beside=POOL))
    note = f"{os.cpu_count()} cores"
    return Figure(f"cpu-{ms}", f"CPU-bound tasks of {ms} ms, FULL", "tasks/s", rounds.of("rate"), goals, note)


def _liteq(context: Context, argument: int, count: int, workers: int) -> dict[str, float]:
    return {"rate": drained(context, context.liteq, "spin", [argument], count, workers=workers)}


def _work(count: int) -> int:
    """As the task does it; the application can't be imported here, it is that of some queue."""
    total = 0
    for number in range(count):
        total += number
    return total


def _loops_a_ms() -> int:
    """How much work is a millisecond of this machine when nothing disturbs it."""
    took = []
    for _ in range(50):
        began = time.perf_counter()
        _work(20_000)
        took.append(time.perf_counter() - began)
    return int(20_000 / (min(took) * 1e3))
