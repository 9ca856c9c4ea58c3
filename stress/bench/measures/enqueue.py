"""Enqueuing, one call and one commit at a time, without a consumer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from liteq.storage.sqlite.connection import Durability
from stress.bench import bare, system
from stress.bench.context import Context
from stress.bench.figure import Figure, Goal, in_turns
from stress.bench.system import System

BARE = "bare insert and commit"
STORAGE = "liteq's storage alone"


def measure(context: Context) -> list[Figure]:
    """With both durabilities."""
    return [_figure(context, "full"), _figure(context, "normal")]


def _figure(context: Context, durability: Durability) -> Figure:
    count = context.several(5_000, 10_000) if durability == "full" else context.several(15_000, 30_000)
    peers = context.sqlite_peers(durability) + (context.on_redis() if durability == "full" else [])
    contenders: dict[str, Callable[[], Mapping[str, float]]] = {
        BARE: lambda: {"rate": bare.inserts(context.new_folder(), durability, count)},
        STORAGE: lambda: {"rate": bare.statements(context.new_folder(), durability, count)},
        "liteq": partial(_calls, context, system.liteq(durability), count),
    }
    contenders |= {peer.name: partial(_calls, context, peer, count) for peer in peers}
    rounds = in_turns(context.rounds, contenders)
    what = f"enqueue, one call one commit, {durability.upper()}"
    return Figure(f"enqueue-{durability}", what, "calls/s", rounds.of("rate"), (Goal(0.6, beside=BARE),))


def _calls(context: Context, it: System, count: int) -> dict[str, float]:
    with context.session(it) as queue:
        return {"rate": queue.call("enqueue", count)}
