"""What liteq does against poison, left out: to show that the hazard finds out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from liteq.workers.leftovers import Leftovers

LAPSE: Final = "LITEQ_STRESS_LAPSE"
"""The environment's name for the one that is left out."""


def _share_groups() -> None:
    os.setsid = lambda: None


def _leave_things() -> None:
    Leftovers.clear = lambda *_: None  # type: ignore[method-assign]


LAPSES: Final[dict[str, Callable[[], None]]] = {
    "workers share a group": _share_groups,
    "nothing is put right": _leave_things,
}


def commit() -> None:
    """Leave it out, in this process and those forked from it."""
    if LAPSE in os.environ:
        LAPSES[os.environ[LAPSE]]()
