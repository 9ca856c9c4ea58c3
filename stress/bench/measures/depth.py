"""Deep queues: what changes when a million tasks wait, and another million have a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.measures.memory import private
from stress.bench.session import Session

_SHALLOW = 10_000


def measure(context: Context) -> list[Figure]:
    """The same queues in all rounds, with a little less in each of them."""
    deep = 10_000_000 if context.huge else 1_000_000
    with ExitStack() as stack:
        contenders: dict[str, Callable[[], Mapping[str, float]]] = {}
        names = {depth: f"liteq, {depth:,} pending, {depth:,} scheduled" for depth in (_SHALLOW, deep)}
        for depth, name in names.items():
            queue = stack.enter_context(context.session(context.liteq))
            queue.call("deepen", depth, depth, BENCH_DURABILITY="off")
            contenders[name] = partial(_one, queue, context.several(2_000, 5_000), refill=depth == _SHALLOW)
        rounds = in_turns(context.rounds, contenders)
    few, many = names.values()
    floor = (Goal(0.9, of=many, beside=few),)
    most = (Goal(100, of=many, at_most=True),)
    # Its page cache may take 8 MB, and does as soon as there is so much to read.
    bounded = (Goal(24, of=many, at_most=True),)
    return [
        Figure("depth-drain", "drained by depth, FULL", "tasks/s", rounds.of("drain"), floor),
        Figure("depth-enqueue", "enqueued by depth, FULL", "calls/s", rounds.of("enqueue"), floor),
        *(
            Figure(f"depth-{kind}", f"{what} by depth", "ms", rounds.of(kind), most)
            for kind, what in (
                ("open", "opening the file"), ("status", "status of a task"), ("counts", "counts()"),
                ("pending(10)", "pending(10)"),
            )
        ),
        Figure("depth-memory", "private memory of the dispatcher", "MB", rounds.of("memory"), bounded),
    ]  # fmt: skip


def _one(queue: Session, calls: int, *, refill: bool) -> dict[str, float]:
    values: dict[str, float] = dict(queue.call("looks", 5))
    values["enqueue"] = queue.call("enqueue", calls)
    if refill:  # a drain needs more than that to be measured; what is added is drained again
        queue.call("deepen", 9 * _SHALLOW, 0, BENCH_DURABILITY="off")
    with queue.consumer(2):
        values["drain"] = queue.call("drain_for", 0.7 if refill else 1.5)
        values["memory"] = private(queue.call("dispatcher"))
    return values
