"""Bugs that can be planted in the dispatcher under stress, to show that hazards find them.

The environment variable `LITEQ_STRESS_PATCH` names one. Those in the storage are in `stress.planted`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, Final

from liteq.storage.sqlite import SqliteStorage
from liteq.workers import pool, wire
from liteq.workers.ledger import Ledger
from liteq.workers.shared import Board

PATCH: Final = "LITEQ_STRESS_PATCH"


def patch() -> None:
    """Plant the bug that the environment names, if it does, in this process and those forked from it.

    Raises:
        KeyError: if there is no such bug.
    """
    if name := os.environ.get(PATCH):
        PATCHES[name]()


def _given_back_and_run() -> None:
    """What a worker has not started goes back to the queue, and stays in the worker as well, in its epoch."""
    original = pool.Worker.end_epoch

    def end_epoch(worker: pool.Worker) -> None:
        packets = list(wire.receive_all(worker._far_end))  # noqa: SLF001 -- a bug is inside
        original(worker)
        for packet in packets:
            worker.line.send(packet)

    _replace(pool.Worker, "end_epoch", end_epoch)
    _replace(Board, "begin_epoch", Board.epoch)


def _leak(leak: Callable[[], object]) -> Callable[[], None]:
    """Each turn of the dispatcher keeps something."""

    def plant() -> None:
        original = Ledger.turn
        kept: list[object] = []

        def turn(*arguments: Any, **options: Any) -> None:
            original(*arguments, **options)
            kept.append(leak())

        _replace(Ledger, "turn", turn)

    return plant


_turns = itertools.count()


def _sometimes_a_descriptor() -> object:
    return None if next(_turns) % 20 else os.open(os.devnull, os.O_RDONLY)


def _history_kept() -> None:
    """The history is not pruned."""
    _replace(SqliteStorage, "prune_history", lambda *_: 0)


def _replace(where: type, name: str, by: Callable[..., object]) -> None:
    setattr(where, name, by)


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "given back and run": _given_back_and_run,
    "memory": _leak(lambda: bytearray(20_000)),
    "descriptors": _leak(_sometimes_a_descriptor),
    "history": _history_kept,
}
