"""The hazards: each module's `run(seed, seconds, workers)` breaks a queue and reports what came of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from stress.report import Report

HAZARDS: Final = (
    "workers",
    "dispatcher",
    "supervisor",
    "everything",
    "producers",
    "contention",
    "order",
    "memory",
    "restart",
    "soak",
    "backup",
    "versions",
    "frozen",
    "reused_pid",
    "clock",
    "consumers",
    "poison",
    "crash_loop",
    "disk_full",
    "damage",
    "power_loss",
)
"""Their names, in the order in which they are run."""


ANYWHERE: Final = ("workers", "dispatcher", "supervisor", "everything", "consumers")
"""Those of them that break a queue on a server as well."""

ON_A_SERVER: Final = ("server_killed", "server_emptied", "slow_server", "dropped", "unheard")
"""Those that only a queue on a server can have."""


def of_storage(storage: str) -> tuple[str, ...]:
    """The names of the hazards that break a queue in such a place."""
    return HAZARDS if storage == "sqlite" else (*ANYWHERE, *ON_A_SERVER)


def load(name: str) -> Callable[[int, float, int], Report]:
    """The function that runs a hazard: of a seed, for so many seconds, with so many workers."""
    run: Callable[[int, float, int], Report] = import_module(f"stress.hazards.{name}").run
    return run
