"""Many processes that enqueue at once, while a consumer drains what they enqueue."""

from __future__ import annotations

import time
from functools import partial

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns, percentile

_MANY = 16
ONE, MANY = "liteq, 1 producer", f"liteq, {_MANY} producers"


def measure(context: Context) -> list[Figure]:
    """The total of all producers, and how long their calls take."""
    rounds = in_turns(context.rounds, {ONE: partial(_of, context, 1), MANY: partial(_of, context, _MANY)})
    total = "calls of all producers against a draining consumer, FULL"
    goal = (Goal(5, of=MANY, at_most=True),)
    return [
        Figure("producers-rate", total, "calls/s", rounds.of("rate"), (Goal(0.9, of=MANY, beside=ONE),)),
        Figure("producers-p50", "one of these calls, p50", "ms", rounds.of("p50")),
        Figure("producers-p99", "one of these calls, p99", "ms", rounds.of("p99"), goal),
        Figure("producers-worst", "one of these calls, the longest", "ms", rounds.of("worst")),
    ]


def _of(context: Context, producers: int) -> dict[str, float]:
    seconds = context.several(3, 6)
    with context.session(context.liteq) as queue, queue.consumer(2):
        queue.call("ping")
        begin = time.time() + 1 + producers * 0.15
        processes = [queue.start("enqueue_for", begin, seconds) for _ in range(producers)]
        took = [ms for process in processes for ms in queue.finish(process)]
    shares = {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "worst": max(took)}
    return {"rate": len(took) / seconds, **shares}
