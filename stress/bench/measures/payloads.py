"""Large arguments and results."""

from __future__ import annotations

from functools import partial

from stress.bench import bare
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import System

_SIZE = 1_000_000
COPY = "copying a file, fsync each MB"


def measure(context: Context) -> list[Figure]:
    """Tasks that return the megabyte that they are given; the caller reads and compares all of them."""
    count = context.several(60, 200)
    peers = [*context.sqlite_peers("full"), *context.on_redis()]
    rounds = in_turns(
        context.rounds,
        {
            COPY: lambda: {"rate": bare.copy(context.new_folder(), 2 * count, _SIZE) / 1e6},
            **{it.name: partial(_of, context, it, count) for it in (context.liteq, *peers)},
        },
    )
    what = "1 MB arguments, returned as results, FULL (both ways count)"
    return [Figure("payloads", what, "MB/s", rounds.of("rate"), (Goal(0.5, beside=COPY),))]


def _of(context: Context, it: System, count: int) -> dict[str, float]:
    with context.session(it) as queue, queue.consumer(2):
        queue.call("ping")
        return {"rate": queue.call("payloads", count, _SIZE) / 1e6}
