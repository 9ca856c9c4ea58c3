"""From a call to the start of its task, and to its result in the caller's hand, after idle time."""

from __future__ import annotations

from functools import partial

from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns, percentile
from stress.bench.system import System


def measure(context: Context) -> list[Figure]:
    """After 30 ms, 5 s, and where there is time for it after a minute."""
    figures = _figures(context, 0.03, context.several(150, 400), with_peers=True)
    figures += _figures(context, 5, 3, with_peers=context.full)
    if context.rounds >= 5:
        figures += _figures(context, 60, context.several(1, 2), with_peers=False)
    return figures


def _figures(context: Context, idle: float, count: int, *, with_peers: bool) -> list[Figure]:
    peers = [*context.sqlite_peers("full"), *context.on_redis()] if with_peers else []
    contenders = {
        it.name: partial(_of, context, it, idle, count if it.name.startswith("liteq") else min(count, 50))
        for it in (context.liteq, *peers)
    }
    rounds = in_turns(context.rounds, contenders)
    bounds = {"call": (None, None), "start": (0.5, 2), "result": (1, 4)}
    words = {
        "call": "a call that returns",
        "start": "enqueued → started",
        "result": "enqueued → result in hand",
    }
    figures = []
    for kind, limits in bounds.items():
        for share, limit in zip(("p50", "p99"), limits, strict=True):
            # Of a handful of values the 99th percentile is the worst, and says little.
            goals = (
                (Goal(limit, at_most=True),) if limit is not None and (count > 50 or share == "p50") else ()
            )
            what = f"{words[kind]}, after {idle:g} s idle, {share}"
            key = f"latency-{kind}-{idle:g}-{share}"
            figures.append(Figure(key, what, "ms", rounds.of(f"{kind}-{share}"), goals))
    return figures


def _of(context: Context, it: System, idle: float, count: int) -> dict[str, float]:
    with context.session(it) as queue, queue.consumer(2):
        calls, starts, results = zip(*queue.call("latency", idle, count), strict=True)
    named = {"call": calls, "start": starts, "result": results}
    shares = {"p50": 0.5, "p99": 0.99}
    return {f"{k}-{p}": percentile(list(v), s) for k, v in named.items() for p, s in shares.items()}
