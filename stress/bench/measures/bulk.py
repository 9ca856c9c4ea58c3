"""Enqueuing 10,000 at once, in one transaction."""

from __future__ import annotations

from stress.bench import bare
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns

_COUNT = 10_000
BARE = "bare inserts, one transaction"


def measure(context: Context) -> list[Figure]:
    """By each way that there is; making the tasks counts."""
    ways = ("map", "group", "enqueue_many")
    rounds = in_turns(
        max(5, context.rounds),
        {
            BARE: lambda: {way: bare.bulk(context.new_folder(), "full", _COUNT) for way in ways[:1]},
            "liteq": lambda: _liteq(context),
        },
    )
    bare_values = rounds.of("map")[BARE]
    return [
        Figure(
            f"bulk-{way}", f"`{way}` of {_COUNT:,}", "tasks/s",
            {BARE: bare_values, "liteq": rounds.of(way)["liteq"]}, (Goal(100_000),),
        )
        for way in ways
    ]  # fmt: skip


def _liteq(context: Context) -> dict[str, float]:
    with context.session(context.liteq) as queue:
        rates: dict[str, float] = queue.call("bulk", _COUNT)
        return rates
