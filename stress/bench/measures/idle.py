"""What a pool of 8 workers costs while it has nothing to do."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import System


def measure(context: Context) -> list[Figure]:
    """CPU time, and how often the busiest of the processes wakes up."""
    seconds = context.several(8, 30)
    peers = [*context.sqlite_peers("full"), *context.on_redis()]
    contenders = {it.name: partial(_idle, context, it, seconds) for it in (context.liteq, *peers)}
    rounds = in_turns(context.rounds, contenders)
    busiest = "idle pool of 8: wake-ups of the process that has most"
    return [
        Figure(
            "idle-cpu", "idle pool of 8: CPU", "% of a core", rounds.of("cpu"), (Goal(0.2, at_most=True),)
        ),
        Figure("idle-wakes", busiest, "a second", rounds.of("wakes"), (Goal(1, at_most=True),)),
        Figure("idle-all", "idle pool of 8: wake-ups of all processes", "a second", rounds.of("all")),
    ]


def _idle(context: Context, it: System, seconds: float) -> dict[str, float]:
    with context.session(it) as queue, queue.consumer(8) as consumer:
        queue.call("ping")
        time.sleep(2)
        began, cpu = time.monotonic(), consumer.cpu()
        switches = {pid: _switches(pid) for pid in cpu}
        time.sleep(seconds)
        used = sum(seconds - cpu[pid] for pid, seconds in consumer.cpu().items())
        took = time.monotonic() - began
        wakes = [(_switches(pid) - before) / took for pid, before in switches.items()]
    return {"cpu": used / took * 100, "wakes": max(wakes), "all": sum(wakes)}


def _switches(pid: int) -> int:
    """How often the threads of a process gave up their CPU by themselves, to wait."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total
