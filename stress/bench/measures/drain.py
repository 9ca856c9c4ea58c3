"""No-op tasks that are waiting, drained by 2 worker processes, their results stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from stress.bench import bare, system
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.session import Session
from stress.bench.system import System

BARE = "bare loop, 64 a transaction"
ORDERED = "bare loop, ids in order"
STORAGE = "liteq's storage alone, 64 a transaction"


def measure(context: Context) -> list[Figure]:
    """With both durabilities. The tasks are there before the consumer starts; its start does not count."""
    return [*_figures(context, "full"), *_figures(context, "normal")]


def _figures(context: Context, durability: str) -> list[Figure]:
    peers = context.sqlite_peers(durability)
    goals = [Goal(0.3, beside=BARE)]
    goals += [Goal({"full": 12, "normal": 3}[durability], beside=peer.name) for peer in peers]
    if durability == "full":
        goals += [Goal(8, beside=peer.name) for peer in context.huey_on_redis()]
        peers += context.on_redis()
    contenders: dict[str, Callable[[], Mapping[str, float]]] = {
        BARE: partial(_bare, context, durability, bare.loop),
        ORDERED: partial(_bare, context, durability, partial(bare.loop, ordered=True)),
        STORAGE: partial(_bare, context, durability, bare.storage),
        "liteq": partial(noops, context, system.liteq(durability), context.several(30_000, 60_000)),
    }
    for peer in peers:
        counts = (30_000, 60_000) if peer.name.startswith("liteq") else (4_000, 10_000)
        contenders[peer.name] = partial(noops, context, peer, context.several(*counts))
    rounds = in_turns(context.rounds, contenders)
    what = f"no-op tasks drained, results stored, 2 workers, {durability.upper()}"
    cpu = f"CPU time of such a task, all processes, {durability.upper()}"
    alone = f"CPU time of such a task, the dispatcher alone, {durability.upper()}"
    alone_too = {name: rounds.of("cpu")[name] for name in (BARE, ORDERED, STORAGE)}
    return [
        Figure(f"drain-{durability}", what, "tasks/s", rounds.of("rate"), tuple(goals)),
        Figure(f"drain-{durability}-cpu", cpu, "µs", rounds.of("cpu")),
        Figure(f"drain-{durability}-dispatcher", alone, "µs", alone_too | rounds.of("dispatcher")),
    ]


def _bare(context: Context, durability: str, loop: Callable[..., bare.Loop]) -> dict[str, float]:
    made = loop(context.new_folder(), durability, context.several(30_000, 60_000))
    return {"rate": made.rate, "cpu": made.cpu}


def noops(context: Context, it: System, count: int) -> dict[str, float]:
    """Rate and CPU; what a consumer uses to start is known from one that has nothing to do."""
    warm_up = count // 10
    with context.session(it) as queue:
        with queue.consumer(2) as idle:
            queue.call("ping")
            start = sum(idle.cpu().values())
        ids = _fill(queue, "noop", [], count, warm_up)
        with queue.consumer(2) as consumer:
            seconds = float(queue.call("between", ids, 300))
            cpu = consumer.cpu()
            values = {"rate": count / seconds, "cpu": (sum(cpu.values()) - start) / (count + warm_up) * 1e6}
            if it.name.startswith("liteq"):
                # Its own start is a small part of the whole, most of which is the import of the application.
                values["dispatcher"] = cpu[queue.call("dispatcher")] / (count + warm_up) * 1e6
    return values


def drained(
    context: Context,
    it: System,
    task: str,
    arguments: list[object],
    count: int,
    *,
    workers: int,
    kind: str = "process",
) -> float:
    """Tasks a second, by the clocks of tasks that run before and after those that count."""
    with context.session(it) as queue:
        ids = _fill(queue, task, arguments, count, count // 10)
        with queue.consumer(workers, kind):
            return count / float(queue.call("between", ids, 300))


def _fill(queue: Session, task: str, arguments: list[object], count: int, warm_up: int) -> list[str]:
    # How they are enqueued is no part of this: without waiting for the disk.
    ids: list[str] = queue.call("fill", task, arguments, warm_up, count, BENCH_DURABILITY="normal")
    return ids
