"""How soon the task of a worker that was killed runs again."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns, percentile
from stress.bench.session import Session
from stress.waiting import wait_until


def measure(context: Context) -> list[Figure]:
    """From `kill -9` of a busy worker, the only one, to the new start of its task."""
    rounds = in_turns(context.rounds, {"liteq": lambda: _of(context, context.several(15, 50))})
    what = "kill -9 of the only worker → its task runs again"
    return [
        Figure("crash-p50", f"{what}, p50", "ms", rounds.of("p50")),
        Figure("crash-p99", f"{what}, p99", "ms", rounds.of("p99"), (Goal(50, at_most=True),)),
    ]


def _of(context: Context, count: int) -> dict[str, float]:
    with context.session(context.liteq) as queue, queue.consumer(1):
        queue.call("ping")
        times = [_rerun(queue, number) for number in range(count)]
    return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}


def _rerun(queue: Session, number: int) -> float:
    starts, gate = queue.folder / f"starts{number}", queue.folder / f"gate{number}"
    caller = queue.start("held", str(starts), str(gate))
    wait_until(partial(_has_lines, starts, 1))
    killed = time.time_ns()
    os.kill(int(starts.read_text().split()[0]), 9)
    wait_until(partial(_has_lines, starts, 2))
    gate.touch()
    queue.finish(caller)
    return (int(starts.read_text().split()[3]) - killed) / 1e6


def _has_lines(path: Path, count: int) -> bool:
    return path.exists() and path.read_text().count("\n") >= count
