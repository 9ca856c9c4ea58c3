"""No-op tasks that are waiting, drained by 2 worker processes, their results stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from stress.bench import bare, system
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import System

BARE = "bare loop, 64 a transaction"


def measure(context: Context) -> list[Figure]:
    """With both durabilities; the tasks are there before the consumer starts, and its start does not count."""
    return [_figure(context, "full"), _figure(context, "normal")]


def _figure(context: Context, durability: str) -> Figure:
    peers = context.sqlite_peers(durability)
    goals = [Goal(0.3, beside=BARE)]
    goals += [Goal({"full": 12, "normal": 3}[durability], beside=peer.name) for peer in peers]
    if durability == "full":
        on_redis = context.redis_peers()
        goals += [Goal(8, beside=peer.name) for peer in on_redis]
        peers += on_redis
    contenders: dict[str, Callable[[], Mapping[str, float]]] = {
        BARE: partial(_bare, context, durability),
        "liteq": partial(_drained, context, system.liteq(durability), context.several(30_000, 60_000)),
    }
    for peer in peers:
        contenders[peer.name] = partial(_drained, context, peer, context.several(5_000, 10_000))
    rounds = in_turns(context.rounds, contenders)
    what = f"no-op tasks drained, results stored, 2 workers, {durability.upper()}"
    return Figure(f"drain-{durability}", what, "tasks/s", rounds.of("rate"), tuple(goals))


def _bare(context: Context, durability: str) -> dict[str, float]:
    return {"rate": bare.loop(context.new_folder(), durability, context.several(40_000, 80_000))}


def _drained(context: Context, it: System, count: int) -> dict[str, float]:
    return {"rate": drained(context, it, "noop", [], count, workers=2)}


def drained(
    context: Context, it: System, task: str, arguments: list[object], count: int, *, workers: int
) -> float:
    """Tasks a second, by the clocks of tasks that run before and after those that count."""
    with context.session(it) as queue:
        # How they are enqueued is no part of this: without waiting for the disk.
        ids = queue.call("fill", task, arguments, count // 10, count, BENCH_DURABILITY="normal")
        with queue.consumer(workers):
            return count / float(queue.call("between", ids, 300))
